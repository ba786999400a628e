"""What a collection holds after folders, archives and videos were indexed, changed, broken or interrupted."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile

import pytest

from crystal_eyes import cli
from crystal_eyes.collection import Collection, results, videos
from crystal_eyes.errors import UserError, one_line
from tests.runs import ROOT
from tests.unit.collection.conftest import Contents, draw, places, write_video


@pytest.fixture
def collection(tmp_path, recognizer):
    with Collection.open(tmp_path / "collection", recognizer, create=True) as opened:
        yield opened


@pytest.fixture
def said():
    return []


def test_a_second_run_looks_only_at_what_is_new_or_changed_and_forgets_what_is_gone(collection, folder, said):
    first = collection.add([folder], said.append)
    assert (first.added, first.heads, first.unchanged, first.forgotten) == (6, 6, 0, 0)
    assert places(collection) == sorted(str(path) for path in folder.rglob("*.png"))

    assert vars(collection.add([folder], said.append)) == vars(results.Report(unchanged=6))

    draw(folder / "0.png", 5, 0)
    draw(folder / "new.png", 6, 0)
    (folder / "1.png").unlink()
    shutil.rmtree(folder / "more")
    os.utime(folder / "2.png")  # the same content
    again = collection.add([folder], said.append)
    assert (again.added, again.unchanged, again.forgotten) == (2, 2, 3)
    assert places(collection) == sorted(str(path) for path in folder.rglob("*.png")) and said == []
    (match,) = [one for one in collection.search(folder / "0.png")[0].matches if one.similarity > 0.99]
    assert match.place.file == folder / "0.png"


def test_a_renamed_picture_is_taken_over_without_being_looked_at(collection, folder, monkeypatch):
    collection.add([folder])
    before = sorted(key[1:] for key in Contents(collection).heads)
    folder.rename(folder.with_name("moved"))
    monkeypatch.setattr("crystal_eyes.recognizer.embedding.find_heads", lambda *_: pytest.fail("searched again"))
    collection.add([folder.with_name("moved")])
    assert collection.forget([folder]) == 6
    assert sorted(key[1:] for key in Contents(collection).heads) == before


@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_a_folder_that_is_gone_as_a_whole_is_kept_until_it_is_forgotten(collection, folder, said, how):
    collection.add([folder])
    shutil.rmtree(folder)
    if how == "emptied":  # as a mount point is
        folder.mkdir()
    report = collection.add([folder], said.append)
    assert (report.kept, report.forgotten, len(collection)) == (1, 0, 6)
    assert len(said) == 1 and "is its disk mounted?" in said[0] and "6 pictures" in said[0]
    assert collection.forget([folder]) == 6 and len(collection) == 0


def test_a_folder_without_pictures_is_said_and_what_was_never_indexed_is_not_forgotten(collection, folder, tmp_path, said):
    (tmp_path / "nothing here").mkdir()
    collection.add([folder, tmp_path / "nothing here"], said.append)
    assert said == [f"{tmp_path}/nothing here contains no pictures, archives or videos"]
    with pytest.raises(UserError, match="the collection has nothing of .*/typo: give what was indexed"):
        collection.forget([folder, tmp_path / "typo"])
    assert len(collection) == 6
    assert collection.forget([folder / "1.png", folder / "1.png"]) == 1


def test_folders_that_were_not_given_are_left_alone(collection, folder, tmp_path):
    other = draw(tmp_path / "other" / "a.png", 7, 0)
    collection.add([folder, other.parent])
    other.unlink()
    collection.add([folder])
    assert str(other) in places(collection)


def test_what_does_not_exist_is_an_error(collection, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        collection.add([tmp_path / "nowhere"])


def test_unreadable_pictures_are_one_line_each_and_not_read_again(collection, folder, said):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    (folder / "empty.jpg").touch()
    report = collection.add([folder], said.append)
    assert (report.added, report.unreadable) == (6, 2)
    assert [line.split(": ")[0] for line in said] == [str(folder / "broken.png"), str(folder / "empty.jpg")]
    again = collection.add([folder], said.append)
    assert (again.unreadable, again.unreadable_before, len(said)) == (0, 2, 2)
    draw(folder / "broken.png", 3, 3)
    assert collection.add([folder], said.append).added == 1


# archives


def test_pictures_in_archives_are_found_under_their_names_whatever_these_are(collection, archive, tmp_path, said):
    names = {
        "a.png": (0, 0),
        "../../../etc/b.png": (1, 0),
        "/abs/c.png": (2, 0),
        "ページ/d.jpg": (3, 0),
        "notes.txt": b"no picture",
    }
    comic = archive("comic.cbz", names)
    before = sorted(tmp_path.rglob("*"))
    collection.add([comic], said.append)
    assert places(collection) == sorted(f"{comic}!{name}" for name in names if name != "notes.txt") and said == []
    outside = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert all(path.is_relative_to(collection.folder) for path in outside)  # nothing was extracted
    assert collection.search(tmp_path / "drawn" / "1 0.png")[0].matches[0].place.member == "../../../etc/b.png"


def test_an_archive_that_was_changed_is_read_again_and_one_that_is_gone_forgotten(collection, archive, folder):
    comic = archive("pictures/comic.zip", {"a.png": (0, 5), "b.png": (1, 5)})
    assert collection.add([folder]).added == 8
    archive("pictures/comic.zip", {"a.png": (0, 5), "c.png": (2, 5)})
    os.utime(comic, (1, 1))
    collection.add([folder])
    assert [place for place in places(collection) if "!" in place] == [f"{comic}!a.png", f"{comic}!c.png"]
    comic.unlink()
    collection.add([folder])
    assert len(collection) == 6


def test_bombs_broken_encrypted_and_nested_archives_are_one_line_and_the_rest_goes_on(collection, archive, folder, said):
    bomb = archive("pictures/bomb.zip", {"a.png": bytes(300_000_000), "b.png": (0, 7)})
    nested = archive("pictures/nested.zip", {"inner.zip": bomb.read_bytes(), "c.png": (1, 7)})
    (folder / "cut.cbz").write_bytes(nested.read_bytes()[:-40])
    damaged = archive("pictures/damaged.zip", {"d.png": (2, 7), "e.png": (3, 7)})
    data = bytearray(damaged.read_bytes())
    data[60:400] = bytes(340)  # inside the first member
    damaged.write_bytes(data)
    encrypted = archive("pictures/encrypted.zip", {"f.png": (4, 7)})
    data = bytearray(encrypted.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(data)
    overlapping = archive("pictures/overlapping.zip", {"g.png": (5, 7)})
    with zipfile.ZipFile(overlapping, "a") as opened:
        for number in range(3):
            again = zipfile.ZipInfo(f"{number}.png")
            vars_of = opened.getinfo("g.png")
            again.header_offset, again.CRC, again.compress_type = 0, vars_of.CRC, vars_of.compress_type
            again.compress_size, again.file_size = vars_of.compress_size, vars_of.file_size
            opened.filelist.append(again)
        opened._didModify = True
    (folder / "old.rar").write_bytes(b"Rar!")
    start = time.monotonic()
    report = collection.add([folder], said.append)
    assert time.monotonic() - start < 60
    text = "\n".join(said)
    for words in (
        "bomb.zip!a.png: compressed more than 200 times", "cut.cbz is not a ZIP archive", "damaged.zip!d.png: damaged",
        "encrypted.zip: 1 picture was not read, because it is encrypted",
        "nested.zip: 1 archive was not read, because it is inside another one",
        "overlapping.zip is not read: its entries overlap", "skipped 1 .rar file",
    ):  # fmt: skip
        assert words in text, words
    assert len(said) == 7 and report.added == 9
    assert {"b.png", "c.png", "e.png"} == {place.split("!")[1] for place in places(collection) if "!" in place}


def test_a_link_that_leads_nowhere_is_not_passed_over_in_silence(collection, folder, tmp_path, said):
    (folder / "dead.png").symlink_to(tmp_path / "gone.png")
    (folder / "loop.png").symlink_to("loop.png")
    collection.add([folder], said.append)
    assert said == ["skipped 2 links that lead nowhere"]
    for given in (folder / "dead.png", str(folder / "*ad.png")):
        with pytest.raises(UserError, match="ad.png does not exist: give folders"):
            collection.add([given])


def test_an_archive_with_ten_thousand_entries_is_read(collection, archive, tmp_path, said, monkeypatch):
    picture = draw(tmp_path / "a.png", 0, 0)
    collection.add([picture])
    members = {f"{number:05d}.png": picture.read_bytes() for number in range(10_000)}  # copies are not looked at again
    monkeypatch.setattr(results, "LONG", 100_000)
    report = collection.add([archive("many.zip", members)], said.append)
    assert (report.added, len(collection), said) == (10_000, 10_001, [])
    (answer,) = collection.search(picture, 5)
    assert len(answer.matches) == 1  # one picture


# videos


def test_a_video_gives_a_picture_a_second_with_its_time(collection, folder, said):
    video = write_video(folder / "episode.mp4", 6)
    collection.add([video], said.append)
    times = sorted(place.time for batch in collection.batches() for place in batch.places)
    assert said == [] and set(times) >= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0} and len(times) <= 8
    (answer,) = collection.search(folder / "1.png")
    best = answer.matches[0]
    assert best.place.file == video and 2 <= best.place.time < 4
    assert len(answer.matches) == 1  # a video is one picture, with its other moments
    assert [frame.time for frame in videos.frames(video, 2.0)] == [time for time in times if time > 2.0]


def test_a_scene_cut_between_two_seconds_is_seen(tmp_path):
    av = pytest.importorskip("av")
    import numpy as np

    with av.open(str(tmp_path / "cut.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for number in range(20):
            value = 30 if number < 14 else 220
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), value, np.uint8), format="rgb24")
            for packet in [*stream.encode(frame), *(stream.encode() if number == 19 else ())]:
                container.mux(packet)
    assert [frame.time for frame in videos.frames(tmp_path / "cut.mp4")] == [0.0, 1.0, 1.4]


def test_a_broken_video_is_one_line_and_keeps_what_came_before(collection, folder, said):
    video = write_video(folder / "a.mkv", 20)
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    (folder / "b.mp4").write_bytes(os.urandom(5000))
    (folder / "c.mkv").write_bytes(data[:3000])
    collection.add([folder], said.append)
    assert [line.split(" ")[0] for line in said] == [str(folder / name) for name in ("a.mkv", "b.mp4", "c.mkv")], said
    assert "is damaged" in said[0] and "can't be read as a video" in said[1]
    assert len(collection) > 6
    assert collection.add([folder], said.append).added == 0 and len(said) == 3


def test_without_the_extra_videos_are_one_line_that_names_it(collection, folder, said, monkeypatch):
    write_video(folder / "a.mp4", 1)
    monkeypatch.setitem(sys.modules, "av", None)
    assert collection.add([folder], said.append).added == 6
    assert len(said) == 1 and "crystal-eyes[video]" in said[0]
    monkeypatch.undo()
    assert collection.add([folder], said.append).added >= 1  # once it is installed


# interruptions


RUN = """
import sys
from crystal_eyes.collection import results
from crystal_eyes import cli
results.MAX_UNSAVED = 2
sys.exit(cli.main(sys.argv[1:]))
"""


def start(bundle, folder, into, **more):
    command = [sys.executable, "-c", RUN, "index", str(folder), "--into", str(into), "--bundle", str(bundle)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, env=environment, **pipes, **more)


@pytest.mark.slow
def test_killed_at_random_moments_and_run_again_nothing_is_lost_and_nothing_twice(bundle_folder, folder, archive, tmp_path):
    for number in range(30):
        draw(folder / "many" / f"{number}.png", number % 8, number)
    archive("pictures/comic.cbz", {f"{number}.png": (number, 9) for number in range(12)})
    write_video(folder / "episode.mp4", 8)
    began = time.monotonic()
    assert start(bundle_folder, folder, tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    with Collection.open(tmp_path / "whole") as whole:
        expected = Contents(whole)
    assert len(expected.heads) > 50
    rng, killed = random.Random(0), 0
    for _ in range(6):
        process = start(bundle_folder, folder, tmp_path / "killed")
        time.sleep(rng.uniform(0.3, 0.9) * took)
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            killed += 1
        else:  # it had ended: begin again
            shutil.rmtree(tmp_path / "killed")
    assert killed >= 2
    assert start(bundle_folder, folder, tmp_path / "killed").wait() == 0
    with Collection.open(tmp_path / "killed") as again:
        assert Contents(again) == expected


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB; skips the test where none may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_an_error_and_the_next_run_goes_on(recognizer, folder, small_disk, said, monkeypatch, archive):
    monkeypatch.setattr(results, "MAX_UNSAVED", 2)
    archive("pictures/comic.cbz", {f"{number}.png": (number, 9) for number in range(6)})
    with Collection.open(small_disk / "collection", recognizer, create=True) as collection:
        filler = small_disk / "filler"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        filler.write_bytes(bytes(max(0, free - 24_000)))
        with pytest.raises((OSError, sqlite3.Error)) as caught:
            collection.add([folder], said.append)
        assert (one_line(caught.value) or "").startswith("no space left") and said == []
        filler.unlink()
        collection.add([folder], said.append)
        assert said == [] and len(collection) == 12 == len(set(places(collection)))


def test_two_runs_at_once_are_one_too_many(collection, folder, bundle_folder, capsys):
    with collection.storage.locked():
        code = cli.main(["index", str(folder), "--into", str(collection.folder), "--bundle", str(bundle_folder)])
    assert code == 1 and "another process is changing the collection" in capsys.readouterr().err
