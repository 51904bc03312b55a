"""The images of a single task: the training images that a search may see, and the test images that it may not."""

from metanas.config.data import Data
from metanas.config.search import Images
from metanas.errors import ConfigError
from metanas.run import build_data
from tasks.bank import ImageBank
from tasks.catalogue import IMAGE_READERS
from tasks.data_root import cache_root, data_root
from tasks.image_split import ImageSplit
from tasks.subset import subset


def searched_images(data: Data, images: Images, seed: int) -> ImageBank:
    """The images of the task's classes; of a data set divided by image the training images alone.

    Raises:
        ConfigError: for classes or settings that the data set has not.
        DataError: where it is missing or damaged, or has fewer images than asked for.
    """
    if data.source in IMAGE_READERS:
        if images.classes != "all":
            raise ConfigError(
                f"images.classes must be all for data.source={data.source}, which is divided by image, "
                f"got {images.classes}"
            )
        bank = image_split(data).train
    else:
        found = build_data.dataset(data)
        bank = found.bank if images.classes == "all" else found[images.classes]
    if len(bank.classes) < 2:
        raise ConfigError(
            f"a search needs at least 2 classes, got {len(bank.classes)} in {bank.name}; choose other images.classes"
        )
    return subset(bank, images.per_class, seed) if images.per_class else bank


def image_split(data: Data) -> ImageSplit:
    """Training and test images of the same classes.

    Raises:
        ConfigError: for a data set that is not divided by image, or a setting that those have not.
        DataError: where it is missing or damaged.
    """
    if data.source not in IMAGE_READERS:
        raise ConfigError(
            f"data.source must be divided by image, one of {', '.join(IMAGE_READERS)}, got {data.source}, whose "
            "classes are divided"
        )
    for key in ("rotations", "skip_corrupt", "drop_duplicates"):
        if getattr(data, key):
            raise ConfigError(f"data.{key} must be false for data.source={data.source}, which is divided by image")
    return IMAGE_READERS[data.source](data_root(data.root), data.resolution, cache_root())
