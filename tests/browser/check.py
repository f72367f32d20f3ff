"""Opens report pages in a headless Chromium and checks them from inside (page.js): ./scripts/browser-test

    python3 tests/browser/check.py BROWSER SHOTS PAGE=PLOTS,PICTURES,MAPS ...

Every PAGE is opened at three widths, dark and light, and printed; it must hold at least so many plots, pictures and heat
maps. Talks to the browser through its debugging pipe; screenshots and PDFs go to the directory SHOTS. Exit 1 when
anything is wrong.
"""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile

LARGEST = 2 << 20  # bytes of a page


class Browser:
    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()

        def arrange():  # the browser reads commands from 3 and answers on 4
            os.dup2(to_read, 20), os.dup2(back_write, 21)
            os.dup2(20, 3), os.dup2(21, 4)

        self.child = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=arrange, close_fds=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(to_read), os.close(back_write)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def receive(self):
        while b"\0" not in self.buffer:
            more = os.read(self.back, 1 << 20)
            if not more:
                sys.exit("browser-test: the browser has gone")
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"browser-test: {method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(e["method"] == method for e in self.events):
            self.events.append(self.receive())

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            sys.exit(f"browser-test: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, kind, scheme):
        self.call("Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.call("Browser.close")
        self.child.wait()


def complaints(events, url):
    """What the browser itself had to say while a page was open, and what it fetched beside the page."""
    found = []
    for e in events:
        p = e.get("params", {})
        if e["method"] == "Network.requestWillBeSent" and not p["request"]["url"].startswith("data:"):
            if p["request"]["url"] != url:
                found.append("fetches " + p["request"]["url"])
        elif e["method"] == "Runtime.exceptionThrown":
            found.append("exception: " + p["exceptionDetails"]["text"])
        elif e["method"] == "Runtime.consoleAPICalled":
            found.append("console: " + " ".join(str(a.get("value")) for a in p["args"]))
        elif e["method"] == "Log.entryAdded":
            found.append("log: " + p["entry"]["text"])
    return found


def check(browser, look, path, least, shots):
    name = os.path.basename(path).removesuffix(".html")
    wrong, url = [], "file://" + os.path.abspath(path)
    size = os.path.getsize(path)
    if size >= LARGEST:
        wrong.append(f"{size} bytes")
    browser.events = []
    browser.media("screen", "light")
    browser.size(1280, 900)
    browser.call("Page.navigate", url=url)
    browser.wait_for("Page.loadEventFired")
    for width, scheme in ((1280, "light"), (1280, "dark"), (768, "light"), (390, "light")):
        browser.size(width, 900)
        browser.media("screen", scheme)
        seen = browser.evaluate(look)
        wrong += [f"{width} px, {scheme}: {w}" for w in seen["wrong"]]
        browser.picture(os.path.join(shots, f"{name}-{width}-{scheme}.png"))
    for what, n in zip(("plots", "pictures", "maps"), least):
        if seen[what] < n:
            wrong.append(f"{seen[what]} {what}, expected at least {n}")
    # What the reader may do: sort, enlarge, open the table. It must still fit.
    browser.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; });"
                     "document.querySelectorAll('#sort button').forEach(e => e.click());"
                     "{ const f = document.querySelector('.frame'); if (f) f.click(); }")
    wrong += [f"390 px, everything opened: {w}" for w in browser.evaluate(look)["wrong"]]
    browser.picture(os.path.join(shots, f"{name}-390-opened.png"))
    browser.call("Page.reload")
    browser.events = [e for e in browser.events if e["method"] != "Page.loadEventFired"]
    browser.wait_for("Page.loadEventFired")
    browser.size(688, 900)  # A4 without its margins
    browser.media("print", "dark")
    wrong += [f"print: {w}" for w in browser.evaluate(look)["wrong"]]
    browser.media("", "light")
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    with open(os.path.join(shots, f"{name}.pdf"), "wb") as file:
        file.write(pdf)
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    if not pdf.startswith(b"%PDF") or not 1 <= pages <= 40:
        wrong.append(f"printed on {pages} pages")
    wrong += complaints(browser.events, url)
    print(f"{'FAILED' if wrong else 'ok':<7}{name:<16}{size / 1e3:>7.0f} kB  {seen['plots']} plots, {seen['curves']} curves, "
          f"{seen['points']} points, {seen['pictures']} pictures, {seen['maps']} heat maps; {pages} pages of paper")
    for w in wrong:
        print("       " + w)
    sys.stdout.flush()
    return not wrong


def main():
    program, shots, pages = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.js"), encoding="utf-8") as file:
        look = file.read()
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, profile)
        good = True
        for page in pages:
            path, least = page.rsplit("=", 1)
            good = check(browser, look, path, [int(n) for n in least.split(",")], shots) and good
        browser.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
