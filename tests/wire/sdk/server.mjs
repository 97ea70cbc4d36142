// server.mjs - the server under test as a process: started, killed, started again on the same data.
//
// SPDX-License-Identifier: Apache-2.0
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';

const fill = (text, dir) => text.split(' ').map((word) => word.replaceAll('{dir}', dir));

export class Server {
    // `serve`: a command that prints http://127.0.0.1:PORT once it listens; `events`: one that prints
    // the records as NDJSON. In both {dir} is a folder that lives through restarts.
    constructor(serve, events, dir) {
        this.serve = fill(serve, dir);
        this.eventsCommand = fill(events, dir);
        this.dir = dir;
        fs.mkdirSync(dir, { recursive: true });
        this.kills = 0;
    }

    async start() {
        this.child = spawn(this.serve[0], this.serve.slice(1), {
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.gone = new Promise((done) => this.child.once('exit', done));
        this.port = await new Promise((done, failed) => {
            let said = '';
            const listen = (piece) => {
                said += piece;
                const hit = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
                if (hit) done(Number(hit[1]));
            };
            this.child.stdout.on('data', listen);
            this.child.stderr.on('data', listen);
            this.child.once('error', failed);
            this.child.once('exit', (code) => failed(new Error(`server ended with ${code}: ${said}`)));
        });
        return this;
    }

    async restart(afterMs) {
        await new Promise((done) => setTimeout(done, afterMs));
        this.child.kill('SIGKILL');
        await this.gone;
        this.kills++;
        await this.start();
    }

    // Ends the server and removes what it kept: a data folder has room reserved for 128 MB of log.
    async stop() {
        this.child.kill('SIGTERM');
        const code = await this.gone;
        fs.rmSync(this.dir, { recursive: true, force: true });
        return code;
    }

    // Events in order, each message once; `copies` says how often it stands in the log.
    events() {
        const text = execFileSync(this.eventsCommand[0], this.eventsCommand.slice(1), {
            encoding: 'utf8',
            maxBuffer: 1 << 28,
        });
        const byMessage = new Map();
        for (const line of text.split('\n')) {
            if (line === '') continue;
            const record = JSON.parse(line);
            if (record.type !== 'event') continue;
            const known = byMessage.get(record.message);
            if (known) known.copies++;
            else byMessage.set(record.message, { ...record, copies: 1 });
        }
        return [...byMessage.values()];
    }
}
