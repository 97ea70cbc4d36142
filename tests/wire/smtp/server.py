#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An SMTP server to test against: aiosmtpd, and beside it one that breaks off where it is told.

    server.py --dir DIR [--cert FILE --key FILE] [--user NAME --password WORD]

Listens on free ports of 127.0.0.1 and prints one line: `ports PLAIN BARE STARTTLS SMTPS AUTH RAW PIPED`; ends
when its standard input ends. Each accepted mail becomes DIR/N.eml, its envelope a line of DIR/log:

    N PORT-NAME session-number tls=0|1 auth=NAME|- from to

What a recipient's name does, before its @:

    unknown 550 5.1.1      disabled 550 5.2.1     policy 554 5.7.1       full  452 4.2.2
    greylist 450 4.7.1     later 451 4.3.0        busy 421 4.7.0         big   552 5.3.4 after DATA
    spam 554 after DATA    once 451 the first time
    slow accepts after 0.4 s                      lost  breaks the connection off after the dot
    bye  accepts, says 421 and closes             mute  reads the dot and never answers

RAW speaks just enough SMTP by itself and then does what the recipient's name says: `half` breaks off in
the middle of the message, `early` answers 552 in the middle of it, `talk` answers 250 with many lines,
`noise` answers the dot with what is no reply, `dot` accepts.

PIPED says PIPELINING and means it: it answers MAIL only when RCPT and DATA have come behind it. Then, by the
recipient's name: `unknown` is refused, and DATA too; `open` is refused, but DATA is not; `sender` has the
sender refused, `room` only DATA; `slowly` gets its answers byte by byte; `bye` is answered 421 where a mail
went before; `extra` is accepted, and a good-bye comes in the same piece. What was accepted is a line of
DIR/log, and so is a dot that should not have come.
"""
import argparse
import asyncio
import logging
import os
import socket
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

warnings.simplefilter('ignore')
logging.disable(logging.ERROR)

REFUSALS = {
    'unknown': '550 5.1.1 no such mailbox',
    'disabled': '550 5.2.1 mailbox disabled',
    'policy': '554 5.7.1 refused by policy',
    'full': '452 4.2.2 mailbox full',
    'greylist': '450 4.7.1 come back later',
    'later': '451 4.3.0 trouble',
    'busy': '421 4.7.0 too many connections',
}
AFTER_DATA = {
    'big': '552 5.3.4 message too big',
    'spam': '554 5.7.1 looks like spam',
}


class Handler:
    def __init__(self, args, name):
        self.args, self.name = args, name

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split('@')[0].split('+')[0]
        if local in REFUSALS:
            return REFUSALS[local]
        if local == 'once' and address not in state.seen:
            state.seen.add(address)
            return '451 4.2.0 first time refused'
        envelope.rcpt_tos.append(address)
        return '250 2.1.5 Ok'

    async def handle_DATA(self, server, session, envelope):
        to = envelope.rcpt_tos[0]
        local = to.split('@')[0].split('+')[0]
        if local in AFTER_DATA:
            return AFTER_DATA[local]
        if local == 'slow':
            await asyncio.sleep(0.4)
        if local == 'mute':
            await asyncio.sleep(30)
        if local == 'lost':
            server.transport.abort()
            return '250 never seen'
        if not hasattr(session, 'number'):
            state.sessions += 1
            session.number = state.sessions
        state.mails += 1
        number = state.mails
        with open(os.path.join(self.args.dir, f'{number}.eml'), 'wb') as out:
            out.write(envelope.original_content)
        auth = session.auth_data.login.decode() if session.auth_data else '-'
        tls = 1 if server.transport.get_extra_info('ssl_object') else 0
        with open(os.path.join(self.args.dir, 'log'), 'a') as out:
            out.write(f'{number} {self.name} {session.number} tls={tls} auth={auth} '
                      f'{envelope.mail_from} {to}\n')
        if local == 'bye':
            asyncio.get_running_loop().call_later(0.02, good_bye, server)
        return f'250 2.0.0 Ok: queued as {number}'


def good_bye(server):
    if server.transport and not server.transport.is_closing():
        server.transport.write(b'421 4.4.2 idle too long\r\n')
        server.transport.close()


class State:
    sessions = 0
    mails = 0
    seen = set()


state = State()


async def raw(reader, writer):
    async def say(text):
        writer.write(text.encode() + b'\r\n')
        await writer.drain()

    local = ''
    try:
        await say('220 raw')
        while True:
            line = (await reader.readline()).decode('latin-1')
            word = line[:4].upper()
            if not line or word == 'QUIT':
                break
            if word == 'EHLO':
                await say('250-raw\r\n250 SIZE 10000000')
            elif word == 'RCPT':
                local = line.split('<')[1].split('@')[0]
                await say('250 Ok')
            elif word == 'DATA':
                await say('354 go on')
                if local == 'half':
                    await reader.readexactly(1000)
                    break
                if local == 'early':
                    await reader.readexactly(1000)
                    await say('552 5.3.4 too big, and we have seen enough')
                await reader.readuntil(b'\r\n.\r\n')
                if local == 'talk':
                    await say('250-one\r\n250-two\r\n250 three')
                elif local == 'noise':
                    await say('what was that?')
                elif local == 'early':
                    break
                else:
                    await say('250 Ok')
            else:
                await say('250 Ok')
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.transport.abort()


PIPED = {
    'unknown': '250 Ok\r\n550 5.1.1 no such mailbox\r\n503 5.5.1 no recipient',
    'open': '250 Ok\r\n550 5.1.1 no such mailbox\r\n354 go on',
    'sender': '530 5.7.0 authenticate first\r\n503 5.5.1 no sender\r\n503 5.5.1 no recipient',
    'room': '250 Ok\r\n250 Ok\r\n452 4.3.1 no room',
}


async def piped(reader, writer):
    def note(text):
        with open(os.path.join(args.dir, 'log'), 'a') as out:
            out.write(f'piped {text}\n')

    local, mails = '', 0

    async def say(text):
        data = text.encode() + b'\r\n'
        for piece in [data[i:i + 1] for i in range(len(data))] if local == 'slowly' else [data]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001 if local == 'slowly' else 0)

    try:
        await say('220 piped')
        while True:
            line = (await reader.readline()).decode('latin-1')
            if line[:4] == 'EHLO':
                await say('250-piped\r\n250-pipelining\r\n250 SIZE 10000000')
                continue
            if line[:4] != 'MAIL':
                break
            local = (await reader.readline()).decode('latin-1').split('<')[1].split('@')[0]
            if (await reader.readline()) != b'DATA\r\n':
                break
            if local == 'bye' and mails > 0:
                await say('421 4.4.2 idle too long')
                break
            await say(PIPED.get(local, '250 Ok\r\n250 Ok\r\n354 go on'))
            if not PIPED.get(local, '354').split('\r\n')[-1].startswith('354'):
                continue
            await reader.readuntil(b'\r\n.\r\n')
            note(f'{local}@')
            mails += 1
            await say('250 2.0.0 Ok' + ('\r\n421 4.3.2 closing' if local == 'extra' else ''))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.transport.abort()


async def main(args):
    loop = asyncio.get_running_loop()
    context = None
    if args.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.cert, args.key)

    def check(server, session, envelope, mechanism, data):
        is_right = data.login == args.user.encode() and data.password == args.password.encode()
        return AuthResult(success=is_right, handled=False, auth_data=data)

    def make(name, **options):
        return lambda: SMTP(Handler(args, name), hostname='test', loop=loop, data_size_limit=5000000,
                            **options)

    bare = dict(enable_SMTPUTF8=False, decode_data=False)
    ports = []

    async def listen(factory, tls=None):
        server = await loop.create_server(factory, '127.0.0.1', 0, ssl=tls)
        ports.append(server.sockets[0].getsockname()[1])

    await listen(make('plain'))
    await listen(make('bare', **bare))
    await listen(make('starttls', tls_context=context, require_starttls=True) if context else make('x'))
    await listen(make('smtps'), tls=context)
    await listen(make('auth', authenticator=check, auth_required=True, auth_require_tls=False))
    small = socket.create_server(('127.0.0.1', 0))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # so that the client has to wait
    await asyncio.start_server(raw, sock=small, limit=1 << 24)
    ports.append(small.getsockname()[1])
    together = await asyncio.start_server(piped, '127.0.0.1', 0, limit=1 << 24)
    ports.append(together.sockets[0].getsockname()[1])
    print('ports', *ports, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


parser = argparse.ArgumentParser()
parser.add_argument('--dir', required=True)
parser.add_argument('--cert')
parser.add_argument('--key')
parser.add_argument('--user', default='user')
parser.add_argument('--password', default='pass word')
args = parser.parse_args()
asyncio.run(main(args))
