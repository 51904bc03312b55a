import subprocess
import sys


def test_the_default_path_imports_nothing_heavy() -> None:
    code = (
        "import sys, tasks, tasks.contact_sheet\n"
        "import tasks.sources.omniglot, tasks.sources.cifar_fs, tasks.sources.fc100, tasks.sources.folder\n"
        "print([name for name in ('matplotlib', 'torchvision', 'PIL', 'fontTools') if name in sys.modules])\n"
        "import tasks.sources.glyphs\n"
        "print([name for name in ('matplotlib', 'torchvision') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["[]", "[]"]


def test_torchvision_can_be_imported_through_the_compat_module() -> None:
    from tasks._compat import torchvision

    assert callable(torchvision.datasets.Omniglot)
