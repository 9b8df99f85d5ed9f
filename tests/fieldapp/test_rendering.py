"""Papers are made in processes of their own, which may fail without taking anybody along."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.paper import SEALED_AT, day_paper
from fieldapp.rendering import NICE, RenderPool, report_environment
from fieldapp.sealing import SealJob
from sync import glyphs, report, seal_key
from sync.problems import Problem
from sync.seal_check import inspect
from tests.authority import Authority

KEY = seal_key.make_key("Office", from_at=SEALED_AT)


def job(**options: Any) -> SealJob:
    return SealJob(
        KEY.private_pem(), KEY.certificate_pem(), SEALED_AT, "work order", "Shanghai", **options
    )


def processes() -> set[int | None]:
    return {child.pid for child in multiprocessing.active_children() if "paper" in child.name}


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    with RenderPool(1) as pool:
        yield pool


def test_erins_paper_comes_back_sealed_and_genuine(pool: RenderPool) -> None:
    pdf = pool.render(day_paper(), job())
    assert inspect(pdf, [KEY.certificate]).is_sound
    other = seal_key.make_key("Office", from_at=SEALED_AT)
    assert not inspect(pdf, [other.certificate]).is_sound


def test_the_process_makes_the_same_bytes_as_we_do(
    pool: RenderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTCONFIG_FILE", str(glyphs.FONTS_CONF))
    ours = report.render_report(day_paper(), report_environment("zh_CN"))
    assert pool.render(day_paper()) == ours


def test_a_process_stands_back_behind_the_pages() -> None:
    before = processes()
    with RenderPool(1) as pool:
        pool.render(day_paper())
        (process,) = processes() - before
        assert process is not None
        priority = os.getpriority(os.PRIO_PROCESS, process)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert priority == min(own + NICE, 19)


def test_an_encrypted_key_seals(pool: RenderPool) -> None:
    encrypted = SealJob(
        KEY.private_pem(b"horse"),
        KEY.certificate_pem(),
        SEALED_AT,
        "work order",
        "Shanghai",
        passphrase=b"horse",
    )
    assert inspect(pool.render(day_paper(), encrypted), [KEY.certificate]).is_sound


def test_a_wrong_key_is_named(pool: RenderPool) -> None:
    wrong = SealJob(b"no key", KEY.certificate_pem(), SEALED_AT, "work order", "Shanghai")
    with pytest.raises(Problem) as failed:
        pool.render(day_paper(), wrong)
    assert failed.value.code == "seal.key-unreadable"


def test_the_visit_does_not_wait_for_a_timestamp(pool: RenderPool) -> None:
    pdf = pool.render(day_paper(), job(timestamp_url="http://127.0.0.1:1/"))
    verdict = inspect(pdf, [KEY.certificate])
    assert (verdict.is_sound, verdict.timestamp) == (True, "none")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with Authority(tmp_path) as authority:
        yield authority


def test_a_paper_gets_its_timestamp_at_once_or_later(
    pool: RenderPool, authority: Authority
) -> None:
    at_once = pool.render(day_paper(), job(timestamp_url=authority.url))
    later = pool.add_timestamp(
        pool.render(day_paper(), job()), KEY.certificate_pem(), authority.url
    )
    for pdf in (at_once, later):
        told = pool.inspect(pdf, KEY.certificate_pem(), seal_key.pem_of([authority.certificate]))
        assert (told["seal"].is_sound, told["seal"].timestamp) == (True, "trusted")
        assert told["seal"].timestamp_at > SEALED_AT
        assert pool.inspect(pdf, KEY.certificate_pem())["seal"].timestamp == "unknown"


def test_a_silent_authority_is_not_asked_for_the_next_paper(
    pool: RenderPool, authority: Authority
) -> None:
    authority.is_silent = True
    pool.render(day_paper(), job(timestamp_url=authority.url))
    authority.is_silent = False
    pdf = pool.render(day_paper(), job(timestamp_url=authority.url))
    assert inspect(pdf, [KEY.certificate]).timestamp == "none"
    assert authority.asked == 0
    assert pool.add_timestamp(pdf, KEY.certificate_pem(), authority.url).startswith(pdf)


def test_a_timestamp_that_is_not_sound_is_none(
    pool: RenderPool, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority's signature was broken on its way."""
    answer = authority.answer

    def broken(question: bytes) -> bytes:
        whole = answer(question)
        return whole[:-8] + bytes(byte ^ 1 for byte in whole[-8:])

    monkeypatch.setattr(authority, "answer", broken)
    pdf = pool.render(day_paper(), job(timestamp_url=authority.url))
    assert inspect(pdf, [KEY.certificate]).is_sound
    assert inspect(pdf, [KEY.certificate]).timestamp == "none"


def test_a_paper_of_another_key_gets_no_timestamp_of_ours(
    pool: RenderPool, authority: Authority
) -> None:
    other = seal_key.make_key("Office", from_at=SEALED_AT)
    with pytest.raises(Problem) as failed:
        pool.add_timestamp(pool.render(day_paper(), job()), other.certificate_pem(), authority.url)
    assert failed.value.code == "report.failed"
    assert authority.asked == 0


def test_a_character_without_a_glyph_is_named_by_the_process(pool: RenderPool) -> None:
    paper: Any = day_paper()
    paper["signatures"][0]["opinion"] = "谢谢\U0001f600"
    with pytest.raises(Problem) as failed:
        pool.render(paper)
    assert failed.value.code == "report.missing-glyph"
    assert "U+1F600" in failed.value.args_["characters"]
    assert pool.render(paper, replace_missing=True)


def test_a_paper_that_is_none_fails_and_the_next_one_does_not(pool: RenderPool) -> None:
    with pytest.raises(Problem) as failed:
        pool.render({"language": "en"})
    assert failed.value.code == "report.failed"
    assert pool.render(day_paper("en"))


def test_a_photo_that_is_no_print_copy_is_stopped_by_the_lint(pool: RenderPool) -> None:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("CMYK", (40, 30)).save(out, "JPEG")
    paper: Any = day_paper()
    next(iter(paper["photos"].values()))["jpeg"] = out.getvalue()
    with pytest.raises(Problem) as failed:
        pool.render(paper)
    assert failed.value.code == "report.lint"
    assert failed.value.args_["rule"].startswith("cmyk")


def test_a_file_from_outside_is_inspected_in_the_process(pool: RenderPool) -> None:
    told = pool.inspect(pool.render(day_paper(), job()), KEY.certificate_pem())
    assert told["token"] == day_paper()["token"]
    assert told["seal"].is_sound
    assert told["seal"].signed_at == SEALED_AT
    stranger = pool.inspect(b"%PDF-1.7 nothing", KEY.certificate_pem())
    assert stranger["token"] is None
    assert stranger["seal"].reason == "unreadable"
    assert pool.inspect(b"", b"")["seal"].is_ours is False


def test_a_late_paper_is_killed_and_the_next_one_is_made() -> None:
    before = processes()
    with RenderPool(1, seconds=0.01) as pool:
        with pytest.raises(Problem) as failed:
            pool.render(day_paper())
        assert failed.value.code == "report.timeout"
        assert processes() == before
        pool.seconds = 60
        assert pool.render(day_paper())


def test_a_process_without_memory_costs_one_paper() -> None:
    with RenderPool(1, memory_bytes=60_000_000) as pool:
        for _ in range(2):
            with pytest.raises(Problem) as failed:
                pool.render(day_paper())
            assert failed.value.code == "report.failed"


def test_a_process_that_died_is_replaced() -> None:
    with RenderPool(1) as pool:
        before_all = processes()
        pool.render(day_paper())
        (mine,) = processes() - before_all
        for child in multiprocessing.active_children():
            if child.pid == mine:
                child.kill()
                child.join()
        assert pool.render(day_paper())
        assert mine not in processes()


def test_a_process_is_replaced_after_its_share_of_papers() -> None:
    with RenderPool(1, jobs=1) as pool:
        before = processes()
        pool.render(day_paper())
        assert processes() == before
        pool.render(day_paper())
        assert processes() == before


def test_many_threads_share_two_processes() -> None:
    before = processes()
    with RenderPool(2) as pool, concurrent.futures.ThreadPoolExecutor(6) as threads:
        papers = list(threads.map(lambda _: pool.render(day_paper()), range(6)))
        assert len(processes() - before) == 2
    assert len(set(papers)) == 1
    assert processes() == before


def test_a_closed_pool_refuses() -> None:
    pool = RenderPool(1)
    pool.close()
    pool.close()
    with pytest.raises(Problem) as failed:
        pool.render(day_paper())
    assert failed.value.code == "report.failed"


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_the_texts_of_the_paper_are_found(language: str) -> None:
    environment = report_environment(language)
    title = environment.from_string("{{ _('Fault dispatch order') }}").render()
    assert title == ("故障处理派工单" if language == "zh_CN" else "Fault dispatch order")
    assert os.path.basename(report.STYLES) == "paper.css"
