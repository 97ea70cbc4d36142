#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An SMTP server that takes every mail and delivers none: for demos and for trying things out.

    tools/catchall.py --port N --dir DIR [--host HOST] [--quiet]

Each mail becomes DIR/NNNNNN.eml, with the envelope in two X- headers before it, and a line on standard
output:

    000001 ann@example.org  from hello@example.com  "Your cart is waiting"  3214 bytes

`--port 0` takes a free port. The first line says where it listens: `listening on HOST:PORT`. Ends with
SIGINT or SIGTERM. Needs Debian's python3-aiosmtpd.
"""
import argparse
import asyncio
import email
import email.policy
import logging
import os
import signal
import sys

from aiosmtpd.smtp import SMTP


def shown(text, most=70):
    """One line that a terminal can show, whatever the mail says."""
    text = ''.join(c if c.isprintable() else ' ' for c in text)
    return text if len(text) <= most else text[:most - 3] + '...'


class Handler:
    def __init__(self, args):
        self.args = args
        taken = [int(name[:-4]) for name in os.listdir(args.dir)
                 if name.endswith('.eml') and name[:-4].isdigit()]
        self.count = max(taken, default=0)

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        content = envelope.original_content
        path = os.path.join(self.args.dir, f'{self.count:06}.eml')
        with open(path + '.tmp', 'wb') as out:
            out.write(f'X-Envelope-From: {shown(envelope.mail_from, 400)}\r\n'
                      f'X-Envelope-To: {shown(", ".join(envelope.rcpt_tos), 400)}\r\n'.encode())
            out.write(content)
        os.rename(path + '.tmp', path)
        if not self.args.quiet:
            headers = email.message_from_bytes(content.split(b'\r\n\r\n', 1)[0] + b'\r\n\r\n',
                                               policy=email.policy.default)
            print(f'{self.count:06} {shown(", ".join(envelope.rcpt_tos))}  '
                  f'from {shown(envelope.mail_from)}  "{shown(str(headers["subject"] or ""))}"  '
                  f'{len(content)} bytes', flush=True)
        return f'250 2.0.0 Ok: kept as {self.count:06}'


async def main(args):
    loop = asyncio.get_running_loop()
    handler = Handler(args)
    server = await loop.create_server(
        lambda: SMTP(handler, hostname='catchall', loop=loop, timeout=3600), args.host, args.port)
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    print(f'listening on {args.host}:{server.sockets[0].getsockname()[1]}', flush=True)
    await end.wait()
    server.close()


parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
parser.add_argument('--port', type=int, required=True, help='port to listen on; 0 = a free one')
parser.add_argument('--dir', required=True, help='folder for the mails; made if it is not there')
parser.add_argument('--host', default='127.0.0.1', help='address to listen on (127.0.0.1)')
parser.add_argument('--quiet', action='store_true', help='no line for each mail')
arguments = parser.parse_args()
os.makedirs(arguments.dir, exist_ok=True)
logging.getLogger('mail.log').setLevel(logging.CRITICAL)
try:
    asyncio.run(main(arguments))
except OSError as error:
    sys.exit(f'catchall: {error}')
