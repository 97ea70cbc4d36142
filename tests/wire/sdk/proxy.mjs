// proxy.mjs - stands between a client and the server and does to requests what networks and busy servers
// do. A scenario is a list of what happens to the first event requests; the rest pass.
//
//   pass          forwarded, answered
//   429, 503      answered so, not forwarded ('429+1': with Retry-After: 1)
//   lost          forwarded; the server answers, and the connection ends before the client hears it
//   kill          the same, and the server is killed (-9) and started again before the connection ends
//   kill-early    the server is killed as soon as the request has left, whatever it has done by then
//
// SPDX-License-Identifier: Apache-2.0
import http from 'node:http';

export class Proxy {
    // `server` has { port, restart(): Promise }.
    constructor(server, scenario) {
        this.server = server;
        this.scenario = [...scenario];
        this.seen = []; // what came in: {path, encoding, body, what, status}
        this.lost = []; // why a request got no answer: the server was being started again
        this.http = http.createServer((request, response) => {
            this.take(request, response).catch((error) => {
                this.lost.push(String(error));
                request.socket.destroy();
            });
        });
    }

    async start() {
        await new Promise((done) => this.http.listen(0, '127.0.0.1', done));
        this.port = this.http.address().port;
        return this;
    }

    async stop() {
        this.http.closeAllConnections();
        await new Promise((done) => this.http.close(done));
    }

    async take(request, response) {
        const pieces = [];
        for await (const piece of request) pieces.push(piece);
        const body = Buffer.concat(pieces);
        const isEvents = request.method === 'POST';
        const what = (isEvents && this.scenario.shift()) || 'pass';
        const seen = {
            path: request.url,
            encoding: request.headers['content-encoding'] || '',
            type: request.headers['content-type'] || '',
            retry: request.headers['x-retry-count'] || '',
            body,
            what,
        };
        if (isEvents) this.seen.push(seen);

        const refusal = /^(\d\d\d)(?:\+(\d+))?$/.exec(what);
        if (refusal) {
            seen.status = Number(refusal[1]);
            const headers = { 'Content-Type': 'application/json' };
            if (refusal[2]) headers['Retry-After'] = refusal[2];
            if (request.headers.origin) {
                headers['Access-Control-Allow-Origin'] = request.headers.origin;
                headers['Access-Control-Expose-Headers'] = 'Retry-After';
            }
            response.writeHead(seen.status, headers);
            response.end(JSON.stringify({ code: 'test', message: 'come again' }));
            return;
        }
        if (what === 'kill-early') {
            this.forward(request, body).catch(() => {});
            await this.server.restart(1);
            request.socket.destroy();
            return;
        }
        const answer = await this.forward(request, body);
        seen.status = answer.status;
        if (what === 'kill') await this.server.restart(0);
        if (what === 'kill' || what === 'lost') {
            request.socket.destroy();
            return;
        }
        response.writeHead(answer.status, answer.headers);
        response.end(answer.body);
    }

    forward(request, body) {
        return new Promise((done, failed) => {
            const out = http.request(
                {
                    host: '127.0.0.1',
                    port: this.server.port,
                    method: request.method,
                    path: request.url,
                    // the Host stays the proxy's, so that the settings document names the proxy
                    headers: { ...request.headers, 'content-length': body.length },
                    agent: false,
                },
                async (answer) => {
                    const pieces = [];
                    for await (const piece of answer) pieces.push(piece);
                    const headers = { ...answer.headers };
                    delete headers.connection;
                    done({ status: answer.statusCode, headers, body: Buffer.concat(pieces) });
                },
            );
            out.on('error', failed);
            out.end(body);
        });
    }
}
