#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A year of a real wholesaler's invoices (test data "online-retail-uci") through examples/retail.

What must come out is counted here again, from the file, without any of Wend's code: how many events
there are, who enters, and that what was sent keeps the caps and the quiet hours. Then the same file is
imported: once, twice, and killed in the middle. Prints `N passed, N failed, N skipped` at its end.
"""

import collections
import csv
import datetime
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zoneinfo

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEND = os.path.join(ROOT, "wend")
RETAIL = os.path.join(ROOT, "examples", "retail")
MAPPING = os.path.join(RETAIL, "online-retail.json")
DATA = os.path.join(os.environ.get("WEND_TEST_DATA") or os.path.join(ROOT, "..", "shared", "data"),
                    "online-retail-uci")
LONDON = zoneinfo.ZoneInfo("Europe/London")
DAY = 86400
KILLS = 5

tests = []
passed, failed, skipped = [], [], []


def test(sentence):
    """The function below is a test of that name."""
    def keep(function):
        tests.append((sentence, function))
        return function
    return keep


def equal(what, is_, should):
    if is_ != should:
        raise AssertionError(f"{what}: {str(is_)[:200]} instead of {str(should)[:200]}")


def wend(*arguments, codes=(0,)):
    """Runs `wend` and gives what it says, as JSON."""
    done = subprocess.run([WEND, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode not in codes:
        raise AssertionError(f"wend {' '.join(arguments)}: exit code {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


class Invoices:
    """The file, read by Python."""

    def __init__(self, path):
        self.path = path
        with open(path, newline="", encoding="utf-8") as file:
            self.rows = list(csv.DictReader(file))
        seen = set()
        self.events = []  # (time in UTC seconds, customer, row), in the order of the file
        for row in self.rows:
            said = tuple(row.values())
            if not row["CustomerID"] or said in seen:
                continue
            seen.add(said)
            self.events.append((utc(row["InvoiceDate"]), row["CustomerID"].removesuffix(".0"), row))
        self.with_customer = sum(row["CustomerID"] != "" for row in self.rows)


moments = {}


def utc(wall):
    if wall not in moments:
        at = datetime.datetime.fromisoformat(wall).replace(tzinfo=LONDON)
        moments[wall] = int(at.timestamp())
    return moments[wall]


def tally(report, kind, **want):
    return sum(row["count"] for row in report["rows"]
               if row["kind"] == kind and all(row.get(key) == x for key, x in want.items()))


# ---- the file itself ---------------------------------------------------------------------------


@test("the file is the one that its description promises")
def the_file(x):
    equal("rows", len(x.invoices.rows), 541909)
    equal("customers", len({c for _, c, _ in x.invoices.events}), 4372)
    equal("cancelled lines", sum(r["InvoiceNo"].startswith("C") for r in x.invoices.rows), 9288)
    equal("lines without a customer", len(x.invoices.rows) - x.invoices.with_customer, 135080)


# ---- run ---------------------------------------------------------------------------------------


@test("every line of a customer is applied once, and no other")
def all_applied(x):
    x.data = os.path.join(x.folder, "run")
    x.sent_path = os.path.join(x.folder, "sent.ndjson")
    x.run = wend("run", RETAIL, "--events", x.invoices.path, "--mapping", MAPPING,
                 "--assume-consent", "email", "--data", x.data, "--sent", x.sent_path)
    file = x.run["file"]
    equal("rows", file["rows"], len(x.invoices.rows))
    equal("left out", file["left_out"], len(x.invoices.rows) - x.invoices.with_customer)
    equal("bad", file["bad"], 0)
    equal("events without a time", file["untimed"], 0)
    equal("people", x.run["profiles"], 4372)
    equal("people assumed", file["people_assumed"], 4372)
    equal("duplicates", x.run["duplicates"], x.invoices.with_customer - len(x.invoices.events))
    # an assumed person is two events: consent and address
    applied = x.run["events"] - x.run["duplicates"] - 2 * file["people_assumed"]
    equal("events applied", applied, len(x.invoices.events))
    x.note(f"run: {x.run['events']} events in {x.run['seconds']:.1f} s, "
           f"{x.run['events'] / x.run['seconds']:,.0f} a second")


@test("the engine's own audit finds nothing")
def audit(x):
    equal("audit faults", x.run["audit_faults"], 0)


@test("who enters post-purchase is who should: first lines, 45 days apart")
def entries(x):
    entered = {}
    count = 0
    for at, customer, row in x.invoices.events:
        if row["InvoiceNo"].startswith("C"):
            continue
        if customer not in entered or at - entered[customer] >= 45 * DAY:
            entered[customer] = at
            count += 1
    equal("customers with an order", len(entered), 4339)
    equal("entries", tally(x.run, "entered", journey="post-purchase"), count)


@test("who enters replenishment takes an article by the dozen")
def dozens(x):
    # At most eight instances live at a time and an instance lives up to 140 days, so this is a bound.
    articles = {(c, r["StockCode"]) for _, c, r in x.invoices.events
                if not r["InvoiceNo"].startswith("C") and int(r["Quantity"]) >= 12}
    lines = sum(not r["InvoiceNo"].startswith("C") and int(r["Quantity"]) >= 12
                for _, _, r in x.invoices.events)
    entered = tally(x.run, "entered", journey="replenishment")
    if not len({c for c, _ in articles}) <= entered <= lines:
        raise AssertionError(f"{entered} entries; {len(articles)} articles, {lines} lines")


@test("what was sent is what was decided, message by message")
def sent_file(x):
    with open(x.sent_path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    for line in lines:
        at = datetime.datetime.fromisoformat(line["at"].replace("Z", "+00:00"))
        line["at"] = at.timestamp()
        line["local"] = at.astimezone(LONDON)
    x.sent = lines
    by_message = collections.Counter(line["message"] for line in lines)
    for message, count in by_message.items():
        equal(message, tally(x.run, "decided", outcome="sent", message=message), count)
    equal("all", tally(x.run, "decided", outcome="sent"), len(lines))
    for message in ("first-order", "order-thanks", "review-request", "replenish", "win-back",
                    "win-back-offer", "refund-notice", "refund-apology"):
        if by_message[message] < 100:
            raise AssertionError(f"{message} was sent {by_message[message]} times")
    x.note("sent: " + ", ".join(f"{m} {n}" for m, n in by_message.most_common()))


def marketing(x):
    """What obeys caps and quiet hours, by person, in order."""
    people = collections.defaultdict(list)
    for line in x.sent:
        if line["message"] != "refund-notice":
            people[line["person"]].append(line)
    return people


def most_within(times, seconds):
    """The most of `times` (ascending) in any window of that length, its start left out."""
    most = first = 0
    for i, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, i - first + 1)
    return most


@test("no cap is exceeded in any window, recounted from what was sent")
def caps(x):
    for person, lines in marketing(x).items():
        times = [line["at"] for line in lines]
        equal("order", times, sorted(times))
        days = collections.Counter(line["local"].date() for line in lines)
        if max(days.values()) > 1:
            raise AssertionError(f"{person} got two messages on one day")
        if most_within(times, 7 * DAY) > 2:
            raise AssertionError(f"{person} got three messages in seven days")
        if any(b - a < 4 * 3600 for a, b in zip(times, times[1:])):
            raise AssertionError(f"{person} got two messages within four hours")
        for message in ("replenish", "win-back-offer"):
            only = [line["at"] for line in lines if line["message"] == message]
            if only and most_within(only, 14 * DAY) > 1:
                raise AssertionError(f"{person} got {message} twice in fourteen days")


@test("nothing that may wait goes out between six in the evening and eight, London time")
def quiet(x):
    for lines in marketing(x).values():
        for line in lines:
            if not 8 <= line["local"].hour < 18:
                raise AssertionError(f"{line['message']} at {line['local']}")


@test("a tenth of the people are the control group and get no marketing")
def holdout(x):
    held_out = tally(x.run, "decided", outcome="held_out")
    share = held_out / (held_out + len(x.sent) - sum(l["message"] == "refund-notice" for l in x.sent))
    if not 0.08 < share < 0.12:
        raise AssertionError(f"{share:.3f} of what would have gone was held out")


@test("the state is rebuilt from the log and agrees with every result block")
def replay(x):
    report = wend("replay", x.data, "--verify")
    equal("audit faults", report["audit_faults"], 0)
    equal("blocks missing", report["results_missing"], 0)
    equal("blocks compared", report["results_compared"], x.run["batches"])
    equal("snapshots compared", report["hashes_compared"], 1)
    equal("events", report["events"], x.run["events"])
    x.note(f"replay: {report['batches']} batches in {report['seconds']:.1f} s")


@test("a file that does not go by time is run by time")
def unsorted(x):
    by_time = collections.defaultdict(list)
    head = []
    with open(x.invoices.path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        names = next(rows)
        for row in rows:
            if len(head) == 60000:
                break
            head.append(row)
            by_time[row[4]].append(row)
    reports = []
    for name, times in (("forward", sorted(by_time)), ("backward", sorted(by_time, reverse=True))):
        path = os.path.join(x.folder, name + ".csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(names)
            for at in times:
                out.writerows(by_time[at])
        report = wend("run", RETAIL, "--events", path, "--mapping", MAPPING,
                      "--assume-consent", "email", "--after", "60d")
        reports.append({key: report[key] for key in ("events", "duplicates", "profiles", "file")}
                       | {"rows": sorted(map(str, report["rows"]))})
    equal("backward", reports[1], reports[0])
    if tally(report, "decided", outcome="sent") < 1000:
        raise AssertionError("next to nothing was sent")


# ---- import ------------------------------------------------------------------------------------


def state_of(folder):
    report = wend("replay", folder, "--verify")
    equal("audit faults", report["audit_faults"], 0)
    return report


def import_file(folder, path, *more):
    return wend("import", folder, path, "--mapping", MAPPING, *more)


@test("an import takes the same events, and history fires no journey")
def imported(x):
    x.base = os.path.join(x.folder, "base")
    seed = os.path.join(x.folder, "seed.ndjson")
    with open(seed, "w", encoding="utf-8") as file:
        file.write('{"type":"identify","userId":"first","messageId":"1",'
                   '"timestamp":"2010-11-01T09:00:00Z","traits":{"plan":"trade"}}\n')
    wend("import", x.base, seed, "--programme", RETAIL)
    x.one_go = os.path.join(x.folder, "one-go")
    shutil.copytree(x.base, x.one_go)
    report = import_file(x.one_go, x.invoices.path)
    equal("rows", report["rows"], len(x.invoices.rows))
    equal("events", report["events"], len(x.invoices.events))
    equal("known", report["known"], x.invoices.with_customer - len(x.invoices.events))
    equal("left out", report["left_out"], len(x.invoices.rows) - x.invoices.with_customer)
    equal("people", report["people"], 4373)
    x.state = state_of(x.one_go)
    why = wend("why", x.one_go, "17850")
    if any("enters" in line["text"] for line in why["past"]):
        raise AssertionError("an imported event began a journey")
    x.note(f"import: {report['rows']} rows in {report['seconds']:.1f} s, "
           f"{report['rows'] / report['seconds']:,.0f} a second")


@test("importing a file twice doubles nothing")
def twice(x):
    copy = os.path.join(x.folder, "copy.csv")
    os.link(x.invoices.path, copy)
    for path, more, rows in ((x.invoices.path, (), 0),
                             (x.invoices.path, ("--again",), len(x.invoices.rows)),
                             (copy, (), len(x.invoices.rows))):
        report = import_file(x.one_go, path, *more)
        equal("rows", report["rows"], rows)
        equal("events", report["events"], 0)
    state = state_of(x.one_go)
    equal("batches", state["batches"], x.state["batches"])
    equal("state", state["state_hash"], x.state["state_hash"])


def kill_after_next_position(folder, path):
    """Starts an import and kills it when it has written how far it is once more. False: it was done."""
    imports = os.path.join(folder, "imports")

    def written():
        return {name: os.stat(os.path.join(imports, name)).st_mtime_ns
                for name in os.listdir(imports) if name.endswith(".json")}

    before = written()
    process = subprocess.Popen([WEND, "import", folder, path, "--mapping", MAPPING, "--quiet"],
                               stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if written() != before:
            process.kill()
            process.wait()
            return process.returncode == -9
        time.sleep(0.001)
    return False


@test("killed again and again, it comes to the same state as in one go")
def killed(x):
    folder = os.path.join(x.folder, "killed")
    shutil.copytree(x.base, folder)
    kills = sum(kill_after_next_position(folder, x.invoices.path) for _ in range(KILLS))
    if kills < 3:
        raise AssertionError(f"only {kills} kills hit")
    report = import_file(folder, x.invoices.path)
    if not 0 < report["rows"] < len(x.invoices.rows):
        raise AssertionError(f"the last import read {report['rows']} rows")
    state = state_of(folder)
    equal("batches", state["batches"], x.state["batches"])
    equal("state", state["state_hash"], x.state["state_hash"])
    x.note(f"import: killed {kills} times, the last part was {report['rows']} rows")


# ---- all of it ---------------------------------------------------------------------------------


class Context:
    def __init__(self, folder):
        self.folder = folder
        self.notes = []

    def note(self, text):
        print("  " + text, flush=True)


def unpack(folder):
    path = os.path.join(folder, "online_retail.csv")
    with lzma.open(os.path.join(DATA, "online_retail.csv.xz")) as packed, open(path, "wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)
    return path


def main():
    if not os.path.exists(os.path.join(DATA, "online_retail.csv.xz")):
        print(f"skipped: no test data {DATA}")
        for sentence, _ in tests:
            print(f"skipped  {sentence}")
        print(f"0 passed, 0 failed, {len(tests)} skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="wend-retail-") as folder:
        x = Context(folder)
        x.invoices = Invoices(unpack(folder))
        for sentence, function in tests:
            try:
                function(x)
                passed.append(sentence)
                print(f"ok       {sentence}", flush=True)
            except Exception as error:  # a test that needs what a failed one made fails too
                failed.append(sentence)
                print(f"FAILED   {sentence}\n         {type(error).__name__}: {error}", flush=True)
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
