"""Picture in, names out. Needs only numpy, Pillow and onnxruntime.

from crystal_eyes import Recognizer
for head in Recognizer.load("bundle").recognize("picture.png"):
    print(head.box, head.candidates[0].character, head.verdict)
"""

from crystal_eyes.recognizer.answers import Candidate, Head, LikelySeries, Reference
from crystal_eyes.recognizer.recognizer import Recognizer

__all__ = ["Candidate", "Head", "LikelySeries", "Recognizer", "Reference"]
