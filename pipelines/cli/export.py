"""`xianbao export`: what the command says about an export; the files are `pipelines.exports`'."""

import json
from collections.abc import Callable
from pathlib import Path

from pipelines.cli.terminal import complain, refuse, say, tell
from pipelines.home import Home


def export_tables(
    home: Home, out: Path, form: str, profile: str, threshold: int | None, *, progress: Callable[[int, int], None]
) -> None:
    """Write the published tables into a folder; refuses in words what cannot be done."""
    from pipelines.exports.files import FORMATS, MANIFEST, PROFILES, export

    if form not in (*FORMATS, "all"):
        refuse(say(f"--format 应为 {'、'.join(FORMATS)} 或 all。", f"--format: {', '.join(FORMATS)} or all"))
    if profile not in PROFILES:
        refuse(say("--profile 应为 internal（内部）或 public（公开）。", "--profile: internal or public"))
    if threshold is not None and threshold < 2:
        refuse(say("--suppress-below 至少为 2：低于此数什么也不隐去。", "--suppress-below is at least 2."))
    if not home.published.exists():
        refuse(say(f"还没有发布过指标库（{home.published}）。请先运行 xianbao run。",
                   f"Nothing has been published yet ({home.published}). Run xianbao run first."))  # fmt: skip
    if out.exists() and not out.is_dir():
        refuse(say(f"{out} 不是目录，请另指定一个。", f"{out} is no folder; name another."))
    formats = FORMATS if form == "all" else (form,)
    threshold = threshold or home.municipality.publish.suppress_below
    try:
        done = export(home.published, out, formats=formats, profile=profile, threshold=threshold, progress=progress)
    except OSError as error:
        refuse(
            say(f"写不进 {out}：{error.strerror}。请检查权限和空间。", f"Cannot write into {out}: {error.strerror}.")
        )
    size = sum(one.size_bytes for one in done) / 1e6
    tell(say(f"已写出 {len(done)} 个文件（{size:.1f} MB）到 {out}，清单见 {MANIFEST}。",
             f"{len(done)} files ({size:.1f} MB) written to {out}; {MANIFEST} lists them."))  # fmt: skip
    if left_out := json.loads((out / MANIFEST).read_text(encoding="utf-8"))["left_out"]:
        names = "、".join(left_out)
        complain(say(f"没有写出：{names}。public.yaml 里没有声明它们能否公开、属于哪一类记录；请先声明。",
                     f"Left out: {names}. public.yaml does not declare whether they may be shown and to what record they belong."))  # fmt: skip
    if profile == "internal":
        complain(say("内部资料：含文件名、审核问题和小数目，不得外传；对外请用 --profile public。",
                     "Internal: holds file names, findings and small counts. Use --profile public for others."))  # fmt: skip
