#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the SMTP replies out of real bounce messages.

    bounces.py FOLDER

FOLDER is the data set bounce-mail (set-of-emails.tar.xz, expected.json.gz). Prints one line for each
bounce with one recipient and one SMTP reply in it:

    reason <tab> hard|soft <tab> reply, with its lines joined by " "
"""
import gzip
import json
import os
import re
import sys
import tarfile

folder = sys.argv[1]
with gzip.open(os.path.join(folder, 'expected.json.gz')) as file:
    expected = json.load(file)
seen = set()
with tarfile.open(os.path.join(folder, 'set-of-emails.tar.xz')) as tar:
    for member in tar:
        name = os.path.basename(member.name).rsplit('.', 1)[0]
        if not member.isfile() or name not in expected or name in seen:
            continue
        rows = expected[name]
        text = tar.extractfile(member).read().decode('latin-1').replace('\r\n', '\n').replace('\r', '\n')
        found = re.findall(r'^Diagnostic-Code:\s*smtp;\s*(.*(?:\n[ \t]+.*)*)', text, re.M | re.I)
        if len(rows) != 1 or len(found) != 1:
            continue
        reply = re.sub(r'\s+', ' ', found[0]).strip()
        if not re.match(r'[45]\d\d[ -]', reply) or reply.endswith('='):
            continue
        seen.add(name)
        reply = re.sub(r'^(\d\d\d)-', r'\1 ', reply)
        print(rows[0]['reason'], 'hard' if rows[0]['hardbounce'] else 'soft',
              reply.encode('ascii', 'replace').decode(), sep='\t')
