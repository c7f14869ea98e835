"""Screenshots of dashboards, by the Chromium of this machine; runs in Superset's environment, which has playwright.

    python screenshots.py http://127.0.0.1:8088 USER PASSWORD FOLDER slug...

Exit code 1 when a chart shows an error or nothing, or a title does not fit.
"""

import shutil
import sys

from playwright.sync_api import sync_playwright

LOADING = ".loading, [data-test='loading-indicator'], .ant-spin-spinning"
#: Charts that tell of an error or of no data; titles that are wider than their place.
TROUBLE = """() => {
  const charts = [...document.querySelectorAll('.dashboard-chart, [data-test="chart-grid-component"]')];
  const said = charts.filter(one => /没有数据|No results|错误|Error|No data/.test(one.innerText)).map(one => one.innerText.slice(0, 200));
  const cut = [...document.querySelectorAll('[data-test="editable-title"], .header-title')]
    .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => 'cut: ' + one.innerText);
  return [charts.length ? [] : ['no charts'], said, cut].flat();
}"""


def main(url: str, user: str, password: str, folder: str, slugs: list[str]) -> int:
    troubles = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1200}, locale="zh-CN")
        page.goto(f"{url}/login/")
        page.fill("input[name=username], #username", user)
        page.fill("input[name=password], #password", password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda address: "/login" not in address)
        for slug in slugs:
            page.set_viewport_size({"width": 1600, "height": 1200})
            page.goto(f"{url}/superset/dashboard/{slug}/?standalone=1")
            page.wait_for_selector(".dashboard-grid, .grid-container", timeout=60_000)
            # Charts out of sight are not drawn: the window is made as high as the page.
            page.wait_for_timeout(1500)
            height = page.evaluate(
                "Math.max(...[...document.querySelectorAll('*')].map(one => one.scrollHeight).filter(n => n < 9000))"
            )
            page.set_viewport_size({"width": 1600, "height": height + 40})
            page.wait_for_timeout(1500)
            page.wait_for_function(f'document.querySelectorAll("{LOADING}").length === 0', timeout=120_000)
            page.wait_for_timeout(2000)
            page.screenshot(path=f"{folder}/{slug}.png", full_page=True)
            troubles += [f"{slug}: {trouble}" for trouble in page.evaluate(TROUBLE)]
        browser.close()
    print("\n".join(troubles) or f"{len(slugs)} dashboards without trouble")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5], sys.argv[5:]))
