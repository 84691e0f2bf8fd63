#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every stage of the tests, sums their counts, ends with one line `N passed, N failed`.

A stage that cannot run counts as one failure. What is skipped is listed loudly before the sum.
"""

import argparse
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / ".build" / "results"
RELEASE = ROOT / ".build" / "release"
PYTHON = ROOT / ".build" / "venv-test" / "bin" / "python"
LIVE = sys.stdout.isatty()


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skips: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)


TOTAL = Tally()


def run(name, command, cwd=ROOT, env=None):
    """Runs a command with its output in a log; says the last line while it runs. (exit code, log)"""
    log = RESULTS / (name.replace(" ", "-") + ".log")
    say(f"▸ {name}")
    began = last_said = time.monotonic()
    with log.open("w", errors="replace") as file:
        try:
            process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace")
        except OSError as error:
            file.write(f"{command[0]}: {error}\n")
            return 127, log
        latest = [""]
        reader = threading.Thread(target=copy, args=(process.stdout, file, latest))
        reader.start()
        while reader.is_alive():
            reader.join(1)
            if LIVE:
                print(f"\r\x1b[2K  {int(time.monotonic() - began)} s  {latest[0][:90]}", end="", flush=True)
            elif time.monotonic() - last_said > 60:
                last_said = time.monotonic()
                say(f"  {int(last_said - began)} s  {latest[0][:90]}")
        code = process.wait()
    if LIVE:
        print("\r\x1b[2K", end="")
    say(f"  {'done' if code == 0 else f'ended with {code}'} in {time.monotonic() - began:.0f} s")
    return code, log


def copy(stream, file, latest):
    for line in stream:
        file.write(line)
        file.flush()
        latest[0] = line.strip() or latest[0]


def say(text):
    print(text, flush=True)


def fault(text, log=None):
    """One failure that no test reported, with the end of the log."""
    TOTAL.failed += 1
    TOTAL.faults.append(text)
    if log:
        for line in log.read_text(errors="replace").splitlines()[-40:]:
            say(f"  | {line}")
    say(f"  ✘ {text}")


def check(name, command, **more):
    """A stage that counts as one test."""
    code, log = run(name, command, **more)
    if code == 0:
        TOTAL.passed += 1
    else:
        fault(f"{name} failed, see {log.relative_to(ROOT)}", log)
    return code == 0


def tests(name, command, report, **more):
    """A stage that writes a JUnit report, whose counts are added."""
    report.unlink(missing_ok=True)
    code, log = run(name, command, **more)
    failed_before = TOTAL.failed
    if report.exists():
        add(name, report)
    if code != 0 and TOTAL.failed == failed_before:
        fault(f"{name} ended with {code}, see {log.relative_to(ROOT)}", log)
    elif not report.exists():
        fault(f"{name} wrote no report, see {log.relative_to(ROOT)}", log)


def add(name, report):
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        title = f"{case.get('classname', '')}.{case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            found = case.find("failure") if case.find("failure") is not None else case.find("error")
            TOTAL.faults.append(f"{name}: {title}: {(found.get('message') or '')[:200]}")
        elif case.find("skipped") is not None:
            skipped += 1
            TOTAL.skips.append(f"{name}: {title}: {case.find('skipped').get('message') or ''}")
        else:
            passed += 1
    TOTAL.passed += passed
    TOTAL.failed += failed
    say(f"  {name}: {passed} of {passed + failed} passed" + (f", {skipped} skipped" if skipped else ""))


# The stages


def swift_stages(long):
    if subprocess.run(["swift", "format", "--version"], capture_output=True).returncode == 0:
        check("swift format", ["Scripts/format", "--check"])
    else:
        TOTAL.skips.append("swift format: this toolchain has no swift-format")
    if check("debug build", ["swift", "build", "--build-tests"]):
        tests("swift test", ["swift", "test", "--skip-build", "--no-parallel", "--xunit-output",
                             RESULTS / "swift.xml"],
              RESULTS / "swift-swift-testing.xml")
    if long:
        autobahn()
        check("thread sanitizer", [
            "swift", "test", "--no-parallel", "--sanitize=thread", "--scratch-path", ".build-tsan",
            "--filter", "DomainTests|EngineTests"])
        check("fuzzing", ["Scripts/fuzz", "600"])


AUTOBAHN = ROOT / ".build" / "venv-autobahn"


def python2():
    """A Python 2.7, which Autobahn's test suite wants: on the path, or one of pyenv's."""
    pyenv = sorted(pathlib.Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    for found in [*pyenv, shutil.which("python2.7")]:
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    return None


def autobahn():
    """WebSocket conformance: sections 1 to 7 and 10 of Autobahn's fuzzing client."""
    python = python2()
    if not python:
        TOTAL.skips.append("Autobahn: there is no Python 2.7 (on the PATH or in ~/.pyenv)")
        return
    pip = AUTOBAHN / "bin" / "pip"
    wanted = ROOT / "Scripts" / "requirements-autobahn.txt"
    if not (AUTOBAHN / "bin" / "wstest").exists():
        tool = AUTOBAHN.parent / "virtualenv-2.7"
        shutil.rmtree(AUTOBAHN, ignore_errors=True)
        made = check("Autobahn's environment", [
            "sh", "-c", '"$1" -m pip install -q --upgrade --require-hashes --target "$2" -r "$3" '
            '&& PYTHONPATH="$2" "$1" -m virtualenv -q "$4" && "$5" install -q --require-hashes -r "$6"',
            "sh", python, tool, ROOT / "Scripts" / "requirements-virtualenv.txt", AUTOBAHN, pip, wanted])
        if not made:
            return
    report = RESULTS / "autobahn.xml"
    tests("Autobahn", ["swift", "test", "--skip-build", "--filter", "AutobahnTests",
                       "--xunit-output", report],
          RESULTS / "autobahn-swift-testing.xml",
          env={"ORRERY_WSTEST": str(AUTOBAHN / "bin" / "wstest")})


def release_stage():
    check("release build", ["swift", "build", "-c", "release", "--product", "orrery"])


def simulation_stages(long):
    if check("simulation build", ["swift", "build", "-c", "release", "--product", "Simulate"]):
        seeds = 200_000 if long else 10_000
        check("simulation", [RELEASE / "Simulate", "--seeds", seeds])
        check("simulation finds a planted bug",
              ["sh", "-c", f"! {RELEASE}/Simulate --seeds 200 --plant-no-fence"])


def manual():
    """The folder of the manual that bootstrap --long fetched."""
    found = sorted((ROOT / ".build" / "manual").glob("usr/share/doc/*/html/index.html"))
    return found[0].parent if found else None


def python_stages():
    check("openapi document", [PYTHON, "-m", "openapi_spec_validator", "API/openapi.json"])
    for name, folder in (("python sdk", "SDKs/python"), ("web agent", "Agents/web")):
        report = RESULTS / f"{folder.replace('/', '-')}.xml"
        env = {"ORRERY_TEST_MANUAL": str(manual())} if manual() else {}
        tests(name, [PYTHON, "-m", "pytest", f"--junitxml={report}"], report,
              cwd=ROOT / folder, env=env)
        check(f"{name} types", [PYTHON, "-m", "mypy"], cwd=ROOT / folder)
    report = RESULTS / "benchmarks.xml"
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
    tests("benchmark tools", [*command, "Benchmarks/tests"], report)


def black_box_stages(long):
    if "release build failed" in " ".join(TOTAL.faults) or not (RELEASE / "orrery").exists():
        fault("black box could not run: there is no release build")
        return
    env = {"ORRERY_BIN": str(RELEASE / "orrery"), "ORRERY_KILL_ROUNDS": "50" if long else "5"}
    report = RESULTS / "black-box.xml"
    command = [PYTHON, "-m", "pytest", "-n", "2", f"--junitxml={report}"]
    tests("black box", command, report, cwd=ROOT / "Tests" / "BlackBox", env=env)
    if long:
        report = RESULTS / "black-box-long.xml"
        tests("black box, long", [PYTHON, "-m", "pytest", "-m", "long", f"--junitxml={report}"],
              report, cwd=ROOT / "Tests" / "BlackBox", env=env)
        check("a whole manual", [PYTHON, "Scripts/manual.py", "--bin", RELEASE / "orrery", manual()])
    check("bundled site", [
        sys.executable, "Scripts/demo.py", "--once", "--bin", RELEASE / "orrery",
        "--data", RESULTS / "demo-data"], env={"ORRERY_ADMIN_TOKEN": "t" * 40})


def main():
    stages = {
        "swift": swift_stages, "release": lambda _: release_stage(),
        "simulation": simulation_stages, "python": lambda _: python_stages(),
        "black-box": black_box_stages,
    }
    parser = argparse.ArgumentParser(prog="Scripts/test", description=__doc__)
    parser.add_argument("--long", action="store_true", help="take hours rather than minutes")
    parser.add_argument("--only", help=f"some stages, with commas: {', '.join(stages)}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(stages)
    if unknown := set(chosen) - set(stages):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    began = time.monotonic()
    for name in chosen:
        stages[name](arguments.long)
    TOTAL.skips += [f"stage {name}: not chosen" for name in stages if name not in chosen]
    if TOTAL.skips:
        say(f"\nSKIPPED, {len(TOTAL.skips)}:")
        for text in TOTAL.skips:
            say(f"  {text}")
    if TOTAL.faults:
        say(f"\nFAILED, {len(TOTAL.faults)}:")
        for text in TOTAL.faults:
            say(f"  {text}")
    say(f"\n{time.monotonic() - began:.0f} s; logs and reports in {RESULTS.relative_to(ROOT)}")
    say(f"{TOTAL.passed} passed, {TOTAL.failed} failed")
    return 1 if TOTAL.failed else 0


if __name__ == "__main__":
    sys.exit(main())
