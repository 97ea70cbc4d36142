#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A receiver of signed webhooks, which checks signatures by its own code.

    server.py --dir DIR --secret whsec_...

Listens on a free port of 127.0.0.1 and prints `port N`; ends when its standard input ends. Writes a
line of JSON to DIR/log for each request: path, id, whether the signature held, body. Answers by path:

    /ok 200     /status/503?retry=7     /redirect 302     /big 200 and a megabyte
    /slow 200 after 0.5 s               /lost reads the request, then breaks off
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument('--dir', required=True)
parser.add_argument('--secret', required=True)
args = parser.parse_args()
key = base64.b64decode(args.secret[len('whsec_'):])
lock = threading.Lock()


def is_signed(headers, body):
    number, stamp = headers['webhook-id'], headers['webhook-timestamp']
    if not number or not stamp or '.' in number or abs(time.time() - int(stamp)) > 300:
        return False
    signed = f'{number}.{stamp}.'.encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(part, 'v1,' + wanted)
               for part in (headers['webhook-signature'] or '').split(' '))


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *unused):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        url = urllib.parse.urlparse(self.path)
        row = {'path': url.path, 'id': self.headers['webhook-id'],
               'signed': is_signed(self.headers, body), 'type': self.headers['content-type'],
               'port': self.client_address[1], 'body': body.decode()}
        with lock, open(os.path.join(args.dir, 'log'), 'a') as out:
            out.write(json.dumps(row) + '\n')
        answer, status, headers = b'{}', 200, {}
        if url.path.startswith('/status/'):
            status = int(url.path.split('/')[2])
            query = urllib.parse.parse_qs(url.query)
            if 'retry' in query:
                headers['Retry-After'] = query['retry'][0]
        elif url.path == '/redirect':
            status, headers['Location'] = 302, '/ok'
        elif url.path == '/big':
            answer = b'x' * 1000000
        elif url.path == '/slow':
            time.sleep(0.5)
        elif url.path == '/lost':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header('Content-Length', str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *unused):
        pass


server = Server(('127.0.0.1', 0), Handler)
print('port', server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
