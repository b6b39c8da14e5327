import subprocess
from tests.mounted.conftest import *
from daemon.cli.demotree import make_tree


def test_it(tmp_path, box, box_mount):
    make_tree(tmp_path / "src", 60, 48 * 1024 * 1024)
    subprocess.run(["cp", "-r", f"{tmp_path}/src/.", box_mount.path], check=True)
    box_mount.wait_committed()
    for r in box.log("folders/create"):
        print(r["status"], r["paths"], round(r["start_s"], 3), round(r["end_s"], 3))
    for r in box.log("sessions/.*"):
        print(r["route"], r["status"], r["paths"], round(r["start_s"], 3), round(r["end_s"], 3))
    assert 0
