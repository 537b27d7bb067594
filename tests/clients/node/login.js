// Logging in with node-postgres, plain, by TLS, and bound to the certificate. One line for each check: its name, a tab, "ok" or what is
// wrong. Arguments: the certificate to trust, HOST:PORT.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import pg from 'pg';

const [host, port] = process.argv[3].split(':');
const right = { host, port: Number(port), user: 'ann', password: 'right', database: 'd' };
const ssl = { ca: fs.readFileSync(process.argv[2]) };

async function check(name, options, run) {
    const client = new pg.Client({ ...right, ...options });
    client.on('error', () => {});
    try {
        await run(client);
        console.log(`${name}\tok`);
    } catch (problem) {
        console.log(`${name}\t${String(problem.stack).replaceAll('\n', ' ')}`);
    }
    await client.end().catch(() => {});
}

async function enters(client) {
    await client.connect();
    assert.equal((await client.query('SELECT 1 AS a')).rows[0].a, 1);
}

const isRefused = (client) => assert.rejects(client.connect(), { code: '28P01' });

await check("plain", {}, enters);
await check("verified", { ssl }, enters);
await check("bound", { ssl, enableChannelBinding: true }, enters);
await check("wrong password", { ssl, password: 'wrong' }, isRefused);
await check("unknown name", { ssl, user: 'eve' }, isRefused);
