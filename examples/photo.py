"""Find people in a photo, print their poses, save the annotated image.

python examples/photo.py photo.jpg
"""

import sys

import rtmpose

for result in rtmpose.predict(sys.argv[1]):
    print(result.poses)
    result.save("poses.jpg", scores=True)
