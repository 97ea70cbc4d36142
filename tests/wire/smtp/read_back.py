#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads mails with Python's email module and compares them with what was to be said.

    read_back.py DIR EXPECTED

EXPECTED: one JSON object a line: {"to", "to_name", "from_name", "subject", "text", "html",
"unsubscribe"}, in the order in which the mails of DIR (N.eml) were sent; text and html may be null.
Prints what differs, then the number of mails compared; exits with 1 where anything differs.
"""
import email
import email.header
import email.policy
import email.utils
import json
import os
import sys

folder, expected = sys.argv[1:3]
rows = [json.loads(line) for line in open(expected, encoding='utf-8')]
names = sorted((name for name in os.listdir(folder) if name.endswith('.eml')),
               key=lambda name: int(name[:-4]))
bad = 0


def complain(name, what, wanted, got):
    global bad
    bad += 1
    print(f'{name}: {what}: wanted {wanted!r}, got {got!r}')


def lines(text):
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    return text if text.endswith('\n') or not text else text + '\n'


def display_name(message, header):
    """The name before the address. Python 3.11's address parser puts a space between encoded words,
    which RFC 2047 forbids, so those are read by the older decoder."""
    raw = message.get(header).replace('\r\n', '').rsplit('<', 1)[0].strip()
    if '=?' in raw:
        return str(email.header.make_header(email.header.decode_header(raw)))
    return email.utils.parseaddr(message.get(header))[0]


def body(part):
    return part.get_payload(decode=True).decode('utf-8').replace('\r\n', '\n')


if len(rows) != len(names):
    complain(folder, 'mails', len(rows), len(names))
for name, row in zip(names, rows):
    with open(os.path.join(folder, name), 'rb') as file:
        raw = file.read()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    if message.defects:
        complain(name, 'defects', [], message.defects)
    for header in message.values():
        if getattr(header, 'defects', None):
            complain(name, 'header defects', [], header.defects)
    for line in raw.split(b'\r\n'):
        if len(line) > 998 or b'\n' in line or b'\r' in line or any(c > 126 for c in line):
            complain(name, 'line', 'at most 998 bytes of ASCII', line)
    plain = email.message_from_bytes(raw, policy=email.policy.compat32)
    to = message['to'].addresses[0]
    for what, wanted, got in [
            ('subject', row['subject'], str(message['subject'])),
            ('to', row['to'], to.addr_spec),
            ('to name', row['to_name'], display_name(plain, 'to')),
            ('from name', row['from_name'], display_name(plain, 'from')),
            ('recipients', 1, len(message['to'].addresses)),
            ('unsubscribe', row['unsubscribe'], message['list-unsubscribe'] or ''),
            ('bcc', None, message['bcc'])]:
        if wanted != got:
            complain(name, what, wanted, got)
    if row['text'] is not None:
        got = body(message.get_body(('plain',)))
        if got != lines(row['text']):
            complain(name, 'text', lines(row['text']), got)
    if row['html'] is not None:
        got = body(message.get_body(('html',)))
        if got != lines(row['html']):
            complain(name, 'html', lines(row['html']), got)
    if row['html'] is not None and message.get_content_type() != 'multipart/alternative':
        complain(name, 'type', 'multipart/alternative', message.get_content_type())
print(len(rows), 'mails compared')
sys.exit(1 if bad else 0)
