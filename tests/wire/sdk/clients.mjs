// clients.mjs - the official clients, each told to say the same six things and some more.
//
// SPDX-License-Identifier: Apache-2.0
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { Analytics } from '@segment/analytics-node';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const Rudder = require('@rudderstack/rudder-sdk-node');

export const CHROMIUM = '/usr/bin/chromium';
export const TRACKS = 5; // track events besides the six

// What each client says, in the order of these calls.
function say(client) {
    client.identify({ userId: 'u1', traits: { email: 'a@example.com', plan: 'pro', age: 41 } });
    client.track({
        userId: 'u1',
        event: 'Order Completed',
        properties: {
            order_id: '50314b8e',
            total: 27.5,
            currency: 'USD',
            products: [{ product_id: '1', sku: '45790', price: 19, quantity: 1 }],
        },
    });
    client.page({ userId: 'u1', name: 'Home', properties: { url: 'http://x.example/' } });
    client.screen({ anonymousId: 'anon1', name: 'Main' });
    client.group({ userId: 'u1', groupId: 'g1', traits: { name: 'Acme' } });
    client.alias({ userId: 'u1', previousId: 'anon1' });
    for (let n = 0; n < TRACKS; n++)
        client.track({ userId: 'u1', event: 'Step', properties: { n, text: `\u00e9 "${n}" \u{1f600}` } });
}

export const node = {
    name: '@segment/analytics-node',
    async run(port, key = 'wk_test') {
        const problems = [];
        const client = new Analytics({
            writeKey: key,
            host: `http://127.0.0.1:${port}`,
            flushAt: 20,
            flushInterval: 100,
            maxRetries: 5,
        });
        client.on('error', (error) => problems.push(String(error.reason || error.code)));
        say(client);
        await client.closeAndFlush({ timeout: 60000 });
        return { problems };
    },
};

export const rudder = {
    name: '@rudderstack/rudder-sdk-node',
    async run(port, key = 'wk_test') {
        const problems = [];
        const client = new Rudder(key, {
            dataPlaneUrl: `http://127.0.0.1:${port}`,
            flushAt: 50,
            flushInterval: 60000,
            logLevel: 'none',
            errorHandler: (error) => problems.push(error.message),
        });
        client.flushed = true; // or the first event is sent alone
        say(client);
        await new Promise((done) => client.flush(() => done()));
        return { problems };
    },
};

// --- The browser -------------------------------------------------------------------------------------

let browser;

export async function openBrowser() {
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'wend-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
        executablePath: CHROMIUM,
        headless: true,
        chromiumSandbox: false,
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
        ],
    });
    return async () => {
        await browser.close();
        fs.rmSync(profile, { recursive: true, force: true });
    };
}

// A page of ours with the client's own bundle, as a shop would serve it.
async function servePage() {
    const bundle = path.join(
        path.dirname(require.resolve('@segment/analytics-next/package.json')),
        'dist/umd',
    );
    const page = http.createServer((request, response) => {
        const file = path.join(bundle, path.basename(request.url.split('?')[0]));
        if (request.url.startsWith('/umd/') && fs.existsSync(file)) {
            response.setHeader('Content-Type', 'application/javascript');
            response.end(fs.readFileSync(file));
        } else if (request.url.startsWith('/shop')) {
            response.setHeader('Content-Type', 'text/html; charset=utf-8');
            response.end(
                '<!doctype html><title>Shop</title><script src="/umd/index.js"></script>',
            );
        } else {
            response.statusCode = 404;
            response.end();
        }
    });
    await new Promise((done) => page.listen(0, '127.0.0.1', done));
    return page;
}

// What runs in the page.
async function inPage({ port, key, tracks, batching }) {
    const client = window.AnalyticsNext.AnalyticsBrowser.load(
        { writeKey: key, cdnURL: `http://127.0.0.1:${port}` },
        batching
            ? {
                  integrations: {
                      'Segment.io': {
                          deliveryStrategy: { strategy: 'batching', config: { size: 20, timeout: 200 } },
                      },
                  },
              }
            : {},
    );
    await client.identify('u1', { email: 'a@example.com', plan: 'pro', age: 41 });
    await client.track('Order Completed', {
        order_id: '50314b8e',
        total: 27.5,
        currency: 'USD',
        products: [{ product_id: '1', sku: '45790', price: 19, quantity: 1 }],
    });
    await client.page('Shop', 'Home');
    await client.screen('Main');
    await client.group('g1', { name: 'Acme' });
    await client.alias('u1', 'anon1');
    for (let n = 0; n < tracks; n++)
        await client.track('Step', { n, text: `\u00e9 "${n}" \u{1f600}` });
}

function browserClient(name, batching) {
    return {
        name,
        isBrowser: true,
        // `isDone()` says when everything has arrived: the page stays open until then.
        async run(port, key = 'wk_test', isDone = async () => true) {
            const problems = [];
            const server = await servePage();
            const context = await browser.newPage();
            context.on('pageerror', (error) => problems.push(error.message));
            const origin = `http://127.0.0.1:${server.address().port}`;
            await context.goto(`${origin}/shop?utm_source=email&utm_campaign=spring`);
            await context.evaluate(() => localStorage.clear());
            await context.evaluate(inPage, { port, key, tracks: TRACKS, batching });
            for (let i = 0; i < 300 && !(await isDone()); i++)
                await new Promise((done) => setTimeout(done, 100));
            await context.close();
            server.closeAllConnections();
            await new Promise((done) => server.close(done));
            return { problems };
        },
    };
}

export const browserSingle = browserClient('@segment/analytics-next', false);
export const browserBatch = browserClient('@segment/analytics-next (batching)', true);
