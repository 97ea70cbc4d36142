#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The power goes: what is on the medium at any moment starts again, with all that was acknowledged until then.

    power.py [--times N] [--seed N] [--workers N]

The data directory is on an ext4 file system in an image that is mounted through a loop device. The server is killed N
times (12 if not given) at random moments while it is posted to, a person is erased, and the programme changes. What the
file system has written to its device by then is copied; what is only in the memory of the machine, because nobody asked
for more, is not in the copy, as after a loss of power: journal commits and write-back wait for minutes here. A copy
during which the device was written to is made anew. Each copy is mounted (the file system replays its journal), and
  - a server starts from it, and takes events;
  - every event that had been acknowledged is in its log; who was erased is not known;
  - a replay agrees with all results and snapshots.
Meanwhile the first server goes on where it was. Skipped where nothing can be mounted.
"""
import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from lives import Ended, Life, Tests, in_parallel  # noqa: E402

IMAGE_BYTES = 640 << 20


def command(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f'{" ".join(words)}: {done.stderr.strip()}')
    return done.stdout


def mount(image, folder):
    os.makedirs(folder, exist_ok=True)
    command('mount', '-o', 'loop,commit=600,noatime,noinit_itable', image, folder)


def unmount(folder):
    for _ in range(50):
        if subprocess.run(['umount', folder], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    command('umount', '-l', folder)


class Power:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix='wend-power-')
        self.image = os.path.join(self.folder, 'image')
        self.place = os.path.join(self.folder, 'disk')
        self.wrong, self.cuts, self.again, self.told = [], [], 0, 0

    def prepare(self):
        """None, or why nothing can be mounted."""
        try:
            with open(self.image, 'wb') as file:
                file.truncate(IMAGE_BYTES)
            command('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', self.image)
            mount(self.image, self.place)
        except OSError as no:
            shutil.rmtree(self.folder, ignore_errors=True)
            return str(no)
        device = command('findmnt', '-n', '-o', 'SOURCE', self.place).strip()
        self.stat = f'/sys/block/{os.path.basename(device)}/stat'
        return None

    def written(self):
        """How much was written to the device, and whether something is under way."""
        with open(self.stat, encoding='ascii') as file:
            figures = file.read().split()
        return int(figures[4]), int(figures[6]), int(figures[8])

    def cut(self):
        """A copy of what is on the medium now."""
        copy = os.path.join(self.folder, f'cut{len(self.cuts)}')
        while True:
            before = self.written()
            command('cp', '--sparse=always', self.image, copy)
            if before[2] == 0 and self.written() == before:
                return copy
            self.again += 1
            time.sleep(0.02)

    def post(self, life, number):
        """What happens until the server is killed."""
        try:
            life.say_again()
            if number == 3:
                life.change()
            for i in range(10000):
                life.say(f'p{i % 5}', 1)
                if i == 6 and number >= 6 and number % 3 == 0:
                    life.say(f'gone{number}')
                    life.erase(f'gone{number}')
        except Ended:
            pass

    def live(self):
        life = Life()
        life.put_at(os.path.join(self.place, 'data'))
        try:
            for number in range(self.options.times):
                assert life.start(), life.reasons()
                thread = threading.Thread(target=self.post, args=(life, number))
                thread.start()
                time.sleep(self.chance.uniform(0.02, 0.8))
                life.server.kill()
                thread.join()
                twin = life.twin()
                self.cuts.append((self.cut(), twin))
            self.told = len(life.told)
            self.posted = life.said
        finally:
            life.end()

    def lead(self, cut):
        image, life = cut
        place = image + '.disk'
        wrong = []
        try:
            mount(image, place)
            life.put_at(os.path.join(place, 'data'))
            wrong = life.recover()
        except Exception as e:  # noqa: BLE001
            wrong = [f'{type(e).__name__}: {e}']
        finally:
            life.end()
            if os.path.ismount(place):
                unmount(place)
        if wrong:
            print(f'wrong: {image}, {len(life.told)} events acknowledged: {"; ".join(wrong)}')
            sys.stdout.flush()
            self.wrong.append(image)
        else:
            os.remove(image)

    def run(self):
        try:
            self.live()
        finally:
            unmount(self.place)
        in_parallel(self.lead, self.cuts, self.options.workers)
        print(f'seed {self.options.seed}: {len(self.cuts)} cuts, {self.told} events acknowledged of {self.posted}, '
              f'{self.again} copies made anew')
        if not self.wrong:
            shutil.rmtree(self.folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--times', type=int, default=12)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        # A mount namespace of its own: whatever happens, nothing stays mounted.
        words = ['unshare', '--mount', '--propagation', 'private']
        if shutil.which('unshare') and subprocess.run([*words, 'true'], capture_output=True).returncode == 0:
            return subprocess.call([*words, sys.executable, *sys.argv, '--inside'])
    tests = Tests()
    power = Power(options)
    why_not = power.prepare()

    def the_power_is_cut_under_load_again_and_again():
        if why_not:
            return f'nothing can be mounted here: {re.sub(r"[()]", "", why_not)[:100]}'
        power.run()
        assert power.told > options.times

    def what_is_on_the_medium_starts_again_with_all_that_was_acknowledged():
        if why_not:
            return 'nothing can be mounted here'
        assert not power.wrong, f'{len(power.wrong)} of {len(power.cuts)}'

    if tests.run(the_power_is_cut_under_load_again_and_again):
        tests.run(what_is_on_the_medium_starts_again_with_all_that_was_acknowledged)
    tests.end()
    return 1 if tests.failed else 0


if __name__ == '__main__':
    sys.exit(main())
