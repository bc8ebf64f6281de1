"""Pure array functions of the pipeline. They import nothing above them."""
