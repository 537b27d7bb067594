// node-postgres against a running server: what a service written in JavaScript asks of it. One line for each check: its name, a tab,
// "ok" or what is wrong. The address is the only argument, HOST:PORT.

import assert from 'node:assert/strict';
import net from 'node:net';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

const LONG = 'SELECT count(*) FROM generate_series(1, 100000000000) g';
const [host, port] = process.argv[2].split(':');
const options = { host, port: Number(port), user: 'me', database: 'freshet' };

async function check(name, run, more = {}) {
    const client = new pg.Client({ ...options, ...more });
    try {
        await client.connect();
        await run(client);
        console.log(`${name}\tok`);
    } catch (problem) {
        console.log(`${name}\t${String(problem.stack).replaceAll('\n', ' ')}`);
    } finally {
        await client.end();
    }
}

async function table(client, name, columns, run) {
    await client.query(`CREATE TABLE ${name} (${columns})`);
    try {
        await run();
    } finally {
        await client.query(`DROP TABLE ${name}`);
    }
}

const rows = async (client, text, values) => (await client.query({ text, values, rowMode: 'array' })).rows;

await check("simple", async (client) => {
    const result = await client.query("SELECT 1 AS a, 'é' AS b; SELECT 2 AS c");
    assert.deepEqual(result.map((each) => each.rows), [[{ a: 1, b: 'é' }], [{ c: 2 }]]);
    assert.equal(result[0].command, 'SELECT');
    assert.deepEqual((await client.query('')).rows, []);
    await assert.rejects(client.query('SELECT nope'), { code: '42703', position: '8' });
    assert.match(client.serverVersion ?? '15', /^15/);
});

await check("parameters", async (client) => {
    const values = [7, 'x', null, true, 1.5, new Date('2026-01-02T03:04:05.678Z'), Buffer.from([0, 255]), ['a', null, 'b"c'], { a: [1] }];
    const text = `SELECT $1::int8 + 1, $2::text, $3::text, $4::boolean, $5::float8 * 2, $6::timestamptz, $7::bytea, $8::text[], $9::jsonb`;
    const [row] = await rows(client, text, values);
    assert.deepEqual(row, ['8', 'x', null, true, 3, values[5], values[6], values[7], { a: [1] }]);
    assert.deepEqual(await rows(client, 'SELECT $1 + 1', ['41']), [[42]]);
    assert.deepEqual(await rows(client, 'SELECT g FROM generate_series(1, 9) g WHERE g = ANY ($1) ORDER BY 1', [[2, 4, 11]]), [[2], [4]]);
    await assert.rejects(client.query('SELECT $1::int8', ['x']), { code: '22P02' });
});

await check("prepared by name", async (client) => {
    for (let i = 0; i < 10; i++) {
        const result = await client.query({ name: 'sum', text: 'SELECT $1::int8 + $2::int8 AS sum', values: [i, 1] });
        assert.deepEqual(result.rows, [{ sum: String(i + 1) }]);
    }
    await assert.rejects(client.query({ name: 'sum', text: 'SELECT 1', values: [] }), /must be unique/);
});

await check("types", async (client) => {
    const columns = 'b boolean, s smallint, i integer, l bigint, r real, d double precision, n numeric(18,4), t text, dt date, ts timestamp, '
        + 'tz timestamptz, u uuid, y bytea, j jsonb, la bigint[], ta text[]';
    await table(client, 'kinds', columns, async () => {
        const moment = new Date('2026-10-25T01:30:00.250Z');
        const values = [true, -7, 1 << 30, '-9223372036854775808', 0.5, 1e-300, '-1234567890.1250', "é\t'\"€", '2024-02-29', '2026-03-29 02:30:00.123456',
            moment, '01234567-89ab-cdef-0123-456789abcdef', Buffer.from([0, 1, 255]), JSON.stringify({ a: [1, null] }), ['1', null, '-3'], ['a', null, 'b"c,{}']];
        const places = values.map((_, i) => `$${i + 1}`).join(', ');
        await client.query(`INSERT INTO kinds VALUES (${places})`, values);
        await client.query(`INSERT INTO kinds VALUES (${places})`, values.map(() => null));
        for (const name of [undefined, 'read']) {
            const { rows: [row], fields } = await client.query({ name, text: 'SELECT * FROM kinds WHERE l = $1', values: [values[3]] });
            assert.deepEqual([row.b, row.s, row.i, row.l, row.r, row.d, row.n, row.t], values.slice(0, 8));
            assert.deepEqual([row.dt.getDate(), row.dt.getMonth(), row.ts.getMilliseconds(), row.tz, row.u], [29, 1, 123, moment, values[11]]);
            assert.deepEqual([row.y, row.j, row.la, row.ta], [values[12], { a: [1, null] }, values[14], values[15]]);
            assert.ok(fields.every((field, i) => field.tableID > 0 && field.columnID === i + 1));
        }
        assert.deepEqual(await rows(client, 'SELECT count(*) FROM kinds WHERE l IS NULL AND ta IS NULL'), [['1']]);
    });
});

await check("types in binary", async (client) => {
    const result = await client.query({ text: "SELECT 1::int4, 2::int8, 0.5::float8, true, 'x'::text, '2026-01-02 03:04:05.5+00'::timestamptz, ARRAY['a', NULL]",
        values: [], binary: true, rowMode: 'array' });
    const [[i, l, d, b, t, at, list]] = result.rows;
    assert.deepEqual([i, Number(l), d, b, t, at, list], [1, 2, 0.5, true, 'x', new Date('2026-01-02T03:04:05.5Z'), ['a', null]]);
});

await check("transactions", async (client) => {
    await table(client, 'txn', 'a bigint', async () => {
        await client.query('BEGIN');
        await client.query('INSERT INTO txn VALUES (1)');
        await client.query('ROLLBACK');
        assert.deepEqual(await rows(client, 'SELECT count(*) FROM txn'), [['0']]);
        await client.query('BEGIN');
        assert.deepEqual((await client.query('INSERT INTO txn VALUES ($1), ($2) RETURNING a', [1, 2])).rows, [{ a: '1' }, { a: '2' }]);
        await client.query('COMMIT');
        await client.query('BEGIN');
        await assert.rejects(client.query('SELECT nope'), { code: '42703' });
        await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
        assert.equal((await client.query('COMMIT')).command, 'ROLLBACK');
        assert.deepEqual(await rows(client, 'SELECT sum(a) FROM txn'), [['3']]);
    });
});

await check("cursor", async (client) => {
    const cursor = client.query(new Cursor('SELECT g FROM generate_series(1, $1) g', [250], { rowMode: 'array' }));
    let sum = 0;
    for (let some = await cursor.read(100); some.length > 0; some = await cursor.read(100)) {
        sum += some.reduce((total, [g]) => total + g, 0);
    }
    assert.equal(sum, 31375);
    await cursor.close();
    const early = client.query(new Cursor('SELECT g FROM generate_series(1, 1000000) g'));
    assert.equal((await early.read(10)).length, 10);
    await early.close();
    assert.deepEqual(await rows(client, 'SELECT 1'), [[1]]);
});

await check("query stream", async (client) => {
    const stream = client.query(new QueryStream('SELECT g FROM generate_series(1, 5000) g', [], { batchSize: 64, highWaterMark: 64 }));
    let count = 0;
    for await (const row of stream) {
        count += row.g > 0 ? 1 : 0;
    }
    assert.equal(count, 5000);
});

await check("COPY", async (client) => {
    await table(client, 'copied', 'a bigint, b text', async () => {
        const lines = Array.from({ length: 5000 }, (_, i) => `${i}\t${i % 7 === 0 ? '\\N' : `text ${i}`}\n`);
        const into = client.query(copyFrom('COPY copied FROM STDIN'));
        await pipeline(Readable.from(lines), into);
        assert.equal(into.rowCount, 5000);
        await pipeline(Readable.from(['a,b\n', '9000,"q,', 'r"\n']), client.query(copyFrom('COPY copied FROM STDIN WITH (FORMAT csv, HEADER)')));
        const parts = [];
        const sink = new Writable({ write(chunk, _, done) { parts.push(chunk); done(); } });
        await pipeline(client.query(copyTo("COPY (SELECT * FROM copied WHERE a > 4997 ORDER BY a) TO STDOUT WITH (FORMAT csv)")), sink);
        assert.equal(Buffer.concat(parts).toString(), '4998,\n4999,text 4999\n9000,"q,r"\n');
        const broken = new Readable({ read() { this.push('1\tx\n'); this.destroy(new Error('gone')); } });
        await assert.rejects(pipeline(broken, client.query(copyFrom('COPY copied FROM STDIN'))), /gone/);
        assert.deepEqual(await rows(client, 'SELECT count(*) FROM copied'), [['5001']]);
    });
});

await check("many at once", async (client) => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => rows(client, 'SELECT $1::int4', [i])));
    assert.deepEqual(answers.map(([[value]]) => value), Array.from({ length: 200 }, (_, i) => i));
});

await check("pool", async () => {
    const pool = new pg.Pool({ ...options, max: 5 });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.query('SELECT $1::int4 AS n', [i])));
    assert.equal(answers.reduce((sum, each) => sum + each.rows[0].n, 0), 1225);
    assert.ok(pool.totalCount <= 5);
    await pool.end();
});

await check("time-outs and cancel", async (client) => {
    await client.query('SET statement_timeout = 100');
    await assert.rejects(client.query(LONG), { code: '57014' });
    await client.query('RESET statement_timeout');
    const other = new pg.Client({ ...options, statement_timeout: 100, application_name: 'checks' });
    await other.connect();
    await assert.rejects(other.query(LONG), { code: '57014' });
    assert.deepEqual(await rows(other, 'SHOW application_name'), [['checks']]);
    await other.end();
    const running = client.query(LONG);
    const refused = assert.rejects(running, { code: '57014' });
    const seen = new pg.Client(options);
    await seen.connect();
    while ((await rows(seen, `SELECT 1 FROM pg_stat_activity WHERE pid = ${client.processID} AND state = 'active'`)).length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const request = new pg.Connection({ stream: net.connect(options.port, options.host) });
    request.stream.on('connect', () => request.cancel(client.processID, client.secretKey));
    await refused;
    await seen.end();
});

await check("notices", async (client) => {
    const told = [];
    client.on('notice', (notice) => told.push(notice.code));
    await client.query('COMMIT');
    assert.deepEqual(told, ['25P01']);
});
