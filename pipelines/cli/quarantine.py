"""`xianbao quarantine`: the files in which something of a person was found, and erasing them.

Belongs here: what the commands say. What erasing does is `pipelines.operations.quarantine`.
"""

from pipelines.cli.terminal import console, county_text, new_table, refuse, say, tell
from pipelines.home import Home
from pipelines.times import beijing_minute, utc
from pipelines.workbooks.personal_data import CARD, DOCUMENT, IDENTITY, MAIL, PHONE, mask_personal

_KINDS = {
    IDENTITY: ("身份证号", "identity number"),
    PHONE: ("电话号码", "telephone"),
    CARD: ("银行卡号", "bank card"),
    DOCUMENT: ("护照或通行证号码", "travel document"),
    MAIL: ("电子邮箱", "address of mail"),
}


def show_quarantined(home: Home) -> None:
    """Every quarantined file, and which of them were erased."""
    from pipelines.operations.quarantine import quarantined

    names = {county.code: county.name for county in home.municipality.counties}
    table = new_table(
        say("隔离的文件", "Quarantined files"),
        (say("回执编号", "Receipt"), "left"), (say("县区", "County"), "left"), (say("收到（北京）", "Received (Beijing)"), "left"),
        (say("文件", "File"), "left"), (say("含有", "Holds"), "left"), (say("原件", "Bytes"), "left"),
    )  # fmt: skip
    with home.writing():
        found = list(quarantined(home))
    for one in found:
        first, erased = one.entry.first, one.entry.erased
        state = say("保留", "kept")
        if erased:
            state = say(f"{beijing_minute(utc(erased.at))} 由{erased.by}删除：{erased.reason}",
                        f"erased {beijing_minute(utc(erased.at))} by {erased.by}: {erased.reason}")  # fmt: skip
        table.add_row(
            one.entry.submission_id[:16], names.get(first.county_code, first.county_code),
            beijing_minute(utc(first.received_at)), county_text(mask_personal(first.file_name)),
            say("、", ", ").join(say(*_KINDS[rule]) for rule in one.rules), county_text(mask_personal(state)),
        )  # fmt: skip
    console.print(table)
    tell(say(f"共 {len(found)} 个。", f"{len(found)} files."))


def erase_quarantined(home: Home, number: str, by: str, reason: str) -> None:
    """Erase one, or refuse in words."""
    from pipelines.operations.quarantine import EraseRefused, erase

    with home.writing():
        try:
            entry, zips_n = erase(home, number, by=by, reason=reason)
        except EraseRefused as refused:
            refuse(str(refused))
    name = mask_personal(entry.first.file_name)
    also = say(f"，连同它所在的 {zips_n} 个压缩包", f" with {zips_n} zips that held it") if zips_n else ""
    tell(say(f"已删除“{name}”的原件{also}。记录和回执保留；收件夹里的文件、备份和他处的副本请另行删除。",
             f"Erased the bytes of {name}{also}. Record and receipt stay; the inbox, backups and copies are not touched."))  # fmt: skip
