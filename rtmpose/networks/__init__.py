"""The networks, in torch (``pip install 'rtmpose[train]'`` or ``'rtmpose[export]'``).

One file per network: :mod:`~rtmpose.networks.rtmpose`, :mod:`~rtmpose.networks.rtmw`,
:mod:`~rtmpose.networks.rtmdet`, :mod:`~rtmpose.networks.heatmap`,
:mod:`~rtmpose.networks.classifier`. All stand on :mod:`~rtmpose.networks.cspnext`;
:mod:`~rtmpose.networks.build` knows which config a published model has.
"""

from rtmpose.networks.build import Config, build, config_for
from rtmpose.networks.checkpoint import read_checkpoint, save_safetensors
from rtmpose.networks.complexity import count_multiply_adds, count_parameters
from rtmpose.networks.load import load_network

__all__ = [
    "Config",
    "build",
    "config_for",
    "count_multiply_adds",
    "count_parameters",
    "load_network",
    "read_checkpoint",
    "save_safetensors",
]
