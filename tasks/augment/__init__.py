"""More out of the same images: turned classes, and other pixels of the same class."""

from tasks.augment.affine import random_affine as random_affine
from tasks.augment.augmented import Augmentation as Augmentation
from tasks.augment.augmented import Augmented as Augmented
from tasks.augment.crop import random_crop as random_crop
from tasks.augment.cutout import cutout as cutout
from tasks.augment.flip import horizontal_flip as horizontal_flip
from tasks.augment.jitter import colour_jitter as colour_jitter
from tasks.augment.named import AUGMENTATIONS as AUGMENTATIONS
from tasks.augment.normalise import Normalise as Normalise
from tasks.augment.rotations import rotations as rotations
from tasks.augment.views import VIEWS as VIEWS
from tasks.augment.views import View as View
