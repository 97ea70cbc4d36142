#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `wend report funnel` says, counted here again without any of Wend's code.

Made-up customers live under examples/shop for some weeks. From `wend log --results` each instance's way is
followed step by step (entered, step, ended: the rows that were there before anybody counted), and from it come
who began a step, who waits there, how long it took, how it ended, which arm converted, and what became of each
message. That must be what the engine counted while it ran, what `--recount` counts, and what `--since` counts.
Prints `N passed, N failed, N skipped` at its end.
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import datetime

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEND = os.path.join(ROOT, "wend")
SHOP = os.path.join(ROOT, "examples", "shop")
JOURNEYS = ["browse-recovery", "cart-recovery", "post-purchase", "welcome", "win-back"]

passed, failed = [], []


def wend(*arguments):
    done = subprocess.run([WEND, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"wend {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
    return done.stdout


def test(sentence, function):
    try:
        function()
        passed.append(sentence)
        print(f"ok      {sentence}")
    except Exception as error:  # noqa: BLE001
        failed.append(sentence)
        print(f"failed: {sentence}\n      | {str(error)[:1500]}")


def equal(what, is_, should):
    if is_ != should:
        raise AssertionError(f"{what}: {str(is_)[:300]} instead of {str(should)[:300]}")


class Count:
    """One journey, from rows of results."""

    def __init__(self):
        self.entered = self.ghosts = self.converted = 0
        self.refused = collections.Counter()
        self.began = collections.Counter()
        self.waiting = collections.Counter()
        self.ended = collections.Counter()
        self.ended_at = collections.Counter()
        self.times = collections.defaultdict(list)
        self.took = collections.Counter()
        self.arm_converted = collections.Counter()
        self.outcomes = collections.Counter()
        self.proposed = collections.Counter()
        self.pending = collections.Counter()


def follow(rows, since=None):
    """Every journey's count. Instances are followed whatever `since` says; what happened before is not counted."""
    counts = collections.defaultdict(Count)
    at = {}      # instance -> (step, since when)
    arms = {}    # instance -> [arm]
    pending = {}
    for row in rows:
        c = counts[row.get("journey")]
        is_counted = since is None or row["at_ms"] >= since
        kind, instance, when = row["result"], row["id"], row["at_ms"]

        def leave(ended):
            step, began = at.pop(instance, (None, None))
            if step is None:
                return
            c.waiting[step] -= 1
            if is_counted:
                c.times[step].append(when - began)
        if kind == "entered":
            arms[instance] = []
            c.entered += is_counted
            c.ghosts += is_counted and row["number"] == 1
        elif kind == "refused" and is_counted:
            c.refused[row["what"]] += 1
        elif kind == "step":
            leave(False)
            at[instance] = (row["step"], when)
            c.waiting[row["step"]] += 1
            c.began[row["step"]] += is_counted
        elif kind == "ended":
            leave(True)
            c.ended[row["what"]] += is_counted
            c.ended_at[(row["step"], row["what"])] += is_counted
        elif kind == "converted":
            c.converted += is_counted
            for arm in arms.get(instance, []):
                c.arm_converted[arm] += is_counted
        elif kind == "arm":
            arms[instance].append(row["name"])
            c.took[row["name"]] += is_counted
        elif kind == "proposed":
            c.proposed[row["message"]] += is_counted
            pending[instance] = row["message"]
            c.pending[row["message"]] += 1
        elif kind == "reopened":
            c.outcomes[(row["message"], "sent", 0)] -= is_counted
            pending[instance] = row["message"]
            c.pending[row["message"]] += 1
        elif kind == "decided" and row["what"] not in ("deferred", "queued", "in_doubt"):
            c.outcomes[(row["message"], row["what"], row["step"])] += is_counted
            if pending.pop(instance, None):
                c.pending[row["message"]] -= 1
    return counts


def some(counter):
    return {key: count for key, count in counter.items() if count}


def compare(report, c, is_whole):
    equal("versions", len(report["versions"]), 1)
    v = report["versions"][0]
    equal("entered", v["entered"], c.entered)
    equal("ghosts", v["ghosts"], c.ghosts)
    equal("converted", v["converted"], c.converted)
    equal("refused", {x["reason"]: x["count"] for x in report["refused"]}, some(c.refused))
    equal("ended", {x["reason"]: x["count"] for x in v["ended_by"]}, some(c.ended))
    for place, step in enumerate(v["steps"]):
        name = step["step"]
        times = sorted(c.times[place])
        equal(f"{name} began", step["began"], c.began[place])
        equal(f"{name} over", step["advanced"] + step["ended"] + step["moved"], len(times))
        equal(f"{name} ended", {x["reason"]: x["count"] for x in step["ended_by"]},
              {how: n for (at, how), n in c.ended_at.items() if at == place and n})
        equal(f"{name} time", step["total_ms"], sum(times))
        if is_whole:
            equal(f"{name} waiting", step["waiting"], c.waiting[place])
        for key, tenths in (("median_ms", 5), ("p90_ms", 9)):
            if not times:
                continue
            exact = times[min(len(times) * tenths // 10, len(times) - 1)]
            low, high = step[key]
            if not low <= exact < high:
                raise AssertionError(f"{name} {key}: {exact} is not in {step[key]}")
            if low >= 4 and high - low > low / 4:
                raise AssertionError(f"{name} {key}: {step[key]} is too wide")
    equal("took", {x["arm"]: x["took"] for x in v["arms"] if x["took"]}, some(c.took))
    equal("arms converted", {x["arm"]: x["converted"] for x in v["arms"] if x["converted"]}, some(c.arm_converted))
    outcomes, proposed, waiting = collections.Counter(), {}, {}
    for m in v["messages"]:
        if m["proposed"]:
            proposed[m["message"]] = m["proposed"]
        waiting[m["message"]] = m.get("waiting", 0)
        for x in m["outcomes"]:
            outcomes[(m["message"], x["outcome"], x["rule"])] += x["count"]
    equal("outcomes", dict(outcomes), some(c.outcomes))
    equal("proposed", proposed, some(c.proposed))
    if is_whole:
        equal("waiting messages", {k: n for k, n in waiting.items() if n}, some(c.pending))


def main():
    folder = tempfile.mkdtemp(prefix="wend-funnel-")
    data = os.path.join(folder, "data")
    try:
        wend("run", SHOP, "--data", data, "--people", "1500", "--days", "25", "--start", "2026-03-02")
        rows = [json.loads(line) for line in wend("log", data, "--results").splitlines()]
        rows = [row for row in rows if row["type"] == "result"]
        counts = follow(rows)

        def funnel(journey, *more):
            return json.loads(wend("report", "funnel", data, "--journey", journey, "--json", *more))

        for journey in JOURNEYS:
            test(f"{journey}: what the engine counted is what was followed step by step",
                 lambda: compare(funnel(journey), counts[journey], True))
            test(f"{journey}: a recount of the log says the same",
                 lambda: equal("funnel", funnel(journey, "--recount"), funnel(journey)))
        for day in (5, 17):
            since = datetime.datetime(2026, 3, day, 12, tzinfo=datetime.timezone.utc)
            later = follow(rows, since.timestamp() * 1000)
            for journey in ("cart-recovery", "post-purchase"):
                test(f"{journey}: what happened since {since:%d %B} is counted alone",
                     lambda: compare(funnel(journey, "--since", since.strftime("%Y-%m-%dT%H:%MZ")),
                                     later[journey], False))

        def pauses():
            before = funnel("cart-recovery")["versions"][0]
            wend("journey", "pause", data, "cart-recovery")
            wend("kill", data, "--message", "cart-reminder", "--drop")
            standing = json.loads(wend("journey", "ls", data, "--json"))
            cart = [x for x in standing["journeys"] if x["journey"] == "cart-recovery"][0]
            equal("state", (cart["state"], cart["entries"], cart["timers"]), ("paused", "held", "frozen"))
            equal("under way", cart["in_flight"], before["in_flight"])
            equal("kills", [(x["scope"], x["name"], x["drop"]) for x in standing["kills"]],
                  [("message", "cart-reminder", True)])
            after = funnel("cart-recovery")["versions"][0]
            withdrawn = sum(x["count"] for m in after["messages"] if m["message"] == "cart-reminder"
                            for x in m["outcomes"] if x["outcome"] == "withdrawn")
            waited = sum(m["waiting"] for m in before["messages"] if m["message"] == "cart-reminder")
            equal("withdrawn", withdrawn, waited)
            if waited == 0:
                raise AssertionError("nobody waited: the test says nothing")
            wend("replay", data, "--verify")
        test("a journey is paused and a message killed where nobody serves the directory, and it replays", pauses)

        def moves():
            wend("journey", "resume", data, "cart-recovery", "--pace", "none")
            before = funnel("cart-recovery")["versions"][0]
            folder2 = os.path.join(folder, "shop")
            shutil.copytree(SHOP, folder2)
            path = os.path.join(folder2, "journeys", "cart-recovery.yaml")
            text = open(path, encoding="utf-8").read()
            with open(path, "w", encoding="utf-8") as file:
                file.write("migrate: {steps: {wait-2: exit}, others: same}\npriority: 7\n" +
                           "\n".join(x for x in text.splitlines() if not x.startswith("priority:")) + "\n")
            rows = json.loads(wend("activate", data, folder2, "--preview", "--json"))["in_steps"]
            stand = {x["step"]: (x["people"], x["goes_to"]) for x in rows if x["journey"] == "cart-recovery"}
            equal("preview", {k: n for k, (n, _) in stand.items()},
                  {x["step"]: x["waiting"] for x in before["steps"] if x["waiting"]})
            equal("ends", stand["wait-2"][1], "the end: exited")
            equal("same", {k for k, (_, to) in stand.items() if to != k}, {"wait-2"})
            if not {x["goes_to"] for x in rows if x["journey"] == "welcome"} == {"nowhere: it is the same version"}:
                raise AssertionError(rows)
            wend("activate", data, folder2)
            old, new = funnel("cart-recovery")["versions"]
            exited = {x["reason"]: x["count"] for x in old["ended_by"]}.get("exited", 0)
            equal("exited", exited, stand["wait-2"][0])
            moved = sum(n for k, (n, _) in stand.items() if k != "wait-2")
            equal("moved", (old["moved_out"], new["moved_in"], old["in_flight"], new["in_flight"]),
                  (moved, moved, 0, moved))
            equal("waiting", {x["step"]: x["waiting"] for x in new["steps"] if x["waiting"]},
                  {k: n for k, (n, _) in stand.items() if k != "wait-2"})
            equal("recount", funnel("cart-recovery", "--recount"), funnel("cart-recovery"))
            wend("replay", data, "--verify")
        test("people in flight go over to a newer version as the preview says", moves)

        def stops():
            before = funnel("cart-recovery")["versions"][-1]
            wend("journey", "stop", data, "cart-recovery")
            after = funnel("cart-recovery")["versions"][-1]
            equal("under way", after["in_flight"], 0)
            equal("withdrawn", {x["reason"]: x["count"] for x in after["ended_by"]}["withdrawn"], before["in_flight"])
            equal("waiting", sum(step["waiting"] for step in after["steps"]), 0)
            equal("recount", funnel("cart-recovery", "--recount"), funnel("cart-recovery"))
            wend("replay", data, "--verify")
        test("a journey that is stopped ends for everybody, and the counts say so", stops)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(passed)} passed, {len(failed)} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
