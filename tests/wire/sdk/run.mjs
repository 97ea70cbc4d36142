// run.mjs - drives the official clients, unmodified, against a server, and checks that each event arrived
// once and as it was sent, through refusals, lost answers and kill -9.
//
//   node run.mjs [--daemon] [--serve 'COMMAND {dir}'] [--events 'COMMAND {dir}'] [--only TEXT]
//
// --daemon  against `wend serve` with examples/shop; otherwise against ingest alone
// --serve   starts the server and prints http://127.0.0.1:PORT; its write key is wk_test
// --events  prints what it stored, one record a line as JSON (as src/ingest/describe.h has it)
//
// Prints a line for each test and closes with `N passed, N failed, N skipped`.
//
// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { Proxy } from './proxy.mjs';
import { Server } from './server.mjs';
import * as clients from './clients.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../../..');
const options = {
    serve: `${root}/build/plain/tests/wire/sdk/ingest_server 0 {dir}/events.ndjson`,
    events: 'cat {dir}/events.ndjson',
    only: '',
    duplicates: '', // a figure of /metrics that counts repeated messages
};
for (let i = 2; i < process.argv.length; i++) {
    const name = process.argv[i].replace(/^--/, '');
    if (name === 'daemon') {
        options.serve =
            `${root}/build/plain/wend serve --data {dir}/data --listen 127.0.0.1:0 ` +
            `--write-key wk_test=web ${root}/examples/shop`;
        options.events = `${root}/build/plain/tests/wire/sdk/log_events {dir}/data/log`;
        options.duplicates = 'wend_duplicates_total';
    } else if (name in options && i + 1 < process.argv.length) {
        options[name] = process.argv[++i];
    } else {
        console.error(`unknown or incomplete option ${process.argv[i]}`);
        process.exit(2);
    }
}

const EVENTS = 6 + clients.TRACKS;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wend-sdk-'));
let folders = 0;

// --- What must have arrived ---------------------------------------------------------------------------

function checkEvents(events, { isBrowser }) {
    assert.equal(events.length, EVENTS);
    const one = (kind, name) => {
        const hits = events.filter((e) => e.kind === kind && (!name || e.event === name));
        assert.equal(hits.length, 1, `${kind} ${name || ''}: ${hits.length} times`);
        return hits[0];
    };
    const identify = one('identify');
    assert.equal(identify.personal.email, 'a@example.com');
    assert.equal(identify.personal.plan, 'pro');
    assert.equal(identify.personal.age, 41);
    assert.deepEqual(identify.clear, {});

    const order = one('track', 'Order Completed');
    assert.equal(order.clear.total, 27.5);
    assert.equal(order.personal.order_id, '50314b8e');
    assert.equal(order.personal.currency, 'USD');
    assert.deepEqual(order.personal.products, [
        { product_id: '1', sku: '45790', price: 19, quantity: 1 },
    ]);

    const page = one('page');
    assert.equal(page.event, '$page');
    assert.equal(page.personal.name, 'Home');
    const screen = one('screen');
    assert.equal(screen.personal.name, 'Main');
    const group = one('group');
    assert.equal(group.personal.$group_id, 'g1');
    assert.equal(group.personal.name, 'Acme');
    const alias = one('alias');
    assert.equal(alias.personal.$previous_id, 'anon1');

    const steps = events.filter((e) => e.event === 'Step').sort((a, b) => a.clear.n - b.clear.n);
    assert.equal(steps.length, clients.TRACKS);
    steps.forEach((step, n) => {
        assert.equal(step.clear.n, n);
        assert.equal(step.personal.text, `\u00e9 "${n}" \u{1f600}`);
    });

    const now = Date.now();
    for (const event of events) {
        assert.equal(event.source, 'web');
        assert.ok(event.arrival_ms <= now + 1000 && event.arrival_ms > now - 300000);
        assert.ok(event.event_ms <= event.arrival_ms && event.event_ms > now - 300000);
        assert.match(event.message, /^[0-9a-f]{16}$/);
        assert.equal(typeof event.personal['context.library.name'], 'string');
        if (isBrowser) {
            assert.equal(typeof event.personal.$anonymous_id, 'string');
            assert.equal(event.personal['context.page.path'], '/shop');
            assert.equal(event.personal['context.campaign.source'], 'email');
            assert.equal(event.personal['context.campaign.name'], 'spring');
        } else if (event !== screen) {
            assert.equal(event.personal.$user_id, 'u1');
        } else {
            assert.equal(event.personal.$anonymous_id, 'anon1');
            assert.ok(!('$user_id' in event.personal));
        }
    }
}

// The message ids in a request's body, as the client wrote them.
function messageIds(seen) {
    const body = seen.encoding === 'gzip' ? zlib.gunzipSync(seen.body) : seen.body;
    const said = JSON.parse(body.toString('utf8'));
    return (said.batch || [said]).map((event) => event.messageId).sort();
}

// Every message was sent, and its last try was answered.
function isSettled(proxy) {
    const heard = new Set();
    const sent = new Set();
    for (const seen of proxy.seen) {
        for (const id of messageIds(seen)) {
            sent.add(id);
            if (seen.what === 'pass' && seen.status === 200) heard.add(id);
        }
    }
    return proxy.scenario.length === 0 && sent.size >= EVENTS && heard.size === sent.size;
}

// The server says that it has recognised as many repetitions as its log holds.
async function noticed(server, expected) {
    const figure = new RegExp(`^${options.duplicates} (\\d+)`, 'm');
    let count;
    for (let i = 0; i < 50; i++) {
        const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
        count = Number(figure.exec(await answer.text())?.[1]);
        if (count === expected) return;
        await new Promise((done) => setTimeout(done, 100));
    }
    assert.equal(count, expected, options.duplicates);
}

// --- The tests ----------------------------------------------------------------------------------------

async function through(client, scenario, check) {
    const server = await new Server(
        options.serve,
        options.events,
        path.join(folder, String(folders++)),
    ).start();
    const proxy = await new Proxy(server, scenario).start();
    try {
        const isDone = async () => isSettled(proxy);
        const { problems } = await client.run(proxy.port, 'wk_test', isDone);
        const events = server.events();
        checkEvents(events, client);
        await check({ server, proxy, events, problems });
    } finally {
        await proxy.stop();
        const code = await server.stop();
        assert.equal(code, 0, 'the server ends in order');
    }
}

const isEventPath = (seen) =>
    /^\/v1\/(batch|b|import|t|i|p|s|g|a|track|identify|page|screen|group|alias)$/.test(seen.path);

const plainly = (client) => async () => {
    await through(client, [], ({ proxy, events, problems }) => {
        assert.deepEqual(problems, []);
        assert.ok(proxy.seen.every((seen) => isEventPath(seen) && seen.status === 200));
        assert.ok(events.every((event) => event.copies === 1));
        const sent = proxy.seen.flatMap(messageIds);
        assert.equal(new Set(sent).size, EVENTS);
        assert.equal(sent.length, EVENTS);
        if (client === clients.rudder)
            assert.ok(proxy.seen.every((seen) => seen.encoding === 'gzip'));
        if (client.isBrowser) assert.ok(proxy.seen.every((seen) => seen.type === 'text/plain'));
    });
};

// Refused first: the same messages come again, and are stored once.
const refused = (client, scenario) => async () => {
    await through(client, scenario, ({ proxy, events }) => {
        const first = messageIds(proxy.seen[0]);
        const again = proxy.seen.slice(scenario.length).flatMap(messageIds);
        assert.equal(proxy.seen[0].status, Number(scenario[0].split('+')[0]));
        assert.ok(first.every((id) => again.includes(id)));
        assert.ok(events.every((event) => event.copies === 1));
    });
};

// The answer was lost after the events were durable: the client sends them again, under the same ids.
const unheard = (client, what) => async () => {
    await through(client, [what], async ({ server, proxy, events }) => {
        const first = messageIds(proxy.seen[0]);
        const again = proxy.seen.slice(1).flatMap(messageIds);
        assert.ok(first.every((id) => again.includes(id)));
        assert.equal(server.kills, what.startsWith('kill') ? 1 : 0);
        const doubled = events.filter((event) => event.copies > 1);
        // a server that remembers message ids shows one copy, one that only logs shows both
        assert.ok(doubled.length <= first.length);
        assert.ok(doubled.every((event) => event.copies === 2));
        if (options.duplicates) await noticed(server, doubled.length);
    });
};

const unknownKey = (client) => async () => {
    const server = await new Server(
        options.serve,
        options.events,
        path.join(folder, String(folders++)),
    ).start();
    const proxy = await new Proxy(server, []).start();
    try {
        const { problems } = await client.run(proxy.port, 'wk_wrong');
        assert.ok(proxy.seen.length >= 1 && proxy.seen.length <= 3, `${proxy.seen.length} requests`);
        assert.ok(proxy.seen.every((seen) => seen.status === 401));
        assert.equal(server.events().length, 0);
        if (client === clients.node) assert.ok(problems.length > 0);
    } finally {
        await proxy.stop();
        await server.stop();
    }
};

const tests = [];
const every = [clients.node, clients.rudder, clients.browserSingle, clients.browserBatch];
for (const client of every) {
    tests.push([`${client.name}: every event arrives once, as it was sent`, client, plainly(client)]);
    tests.push([`${client.name}: comes again after 503`, client, refused(client, ['503'])]);
    tests.push([
        `${client.name}: comes again after 429 with Retry-After`,
        client,
        refused(client, ['429+1']),
    ]);
    tests.push([
        `${client.name}: comes again after 429 without Retry-After`,
        client,
        refused(client, ['429']),
    ]);
    tests.push([`${client.name}: sends again what was not answered`, client, unheard(client, 'lost')]);
    tests.push([
        `${client.name}: loses nothing when the server dies before its answer`,
        client,
        unheard(client, 'kill'),
    ]);
    tests.push([
        `${client.name}: loses nothing when the server dies at any moment`,
        client,
        unheard(client, 'kill-early'),
    ]);
}
for (const client of [clients.node, clients.rudder])
    tests.push([`${client.name}: gives up on an unknown key`, client, unknownKey(client)]);

let passed = 0;
let failed = 0;
let skipped = 0;
const hasBrowser = fs.existsSync(clients.CHROMIUM);
const closeBrowser = hasBrowser ? await clients.openBrowser() : async () => {};
for (const [name, client, test] of tests) {
    if (!name.includes(options.only)) continue;
    if (client.isBrowser && !hasBrowser) {
        console.log(`skipped: ${name}: no ${clients.CHROMIUM}`);
        skipped++;
        continue;
    }
    const began = Date.now();
    let timer;
    const tooLong = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('took more than 90 s')), 90000);
    });
    try {
        await Promise.race([test(), tooLong]);
        passed++;
        console.log(`ok ${passed + failed} - ${name} # ${Date.now() - began} ms`);
    } catch (error) {
        failed++;
        console.log(`not ok ${passed + failed} - ${name}`);
        console.log(String(error.stack || error).replace(/^/gm, '    '));
    }
    clearTimeout(timer);
}
await closeBrowser();
fs.rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
