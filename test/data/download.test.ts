import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { downloadFiles } from '../../src/data/sources/download.js';
import { randomBytes, temporaryFolder } from './files.js';

const CONTENT = randomBytes(10_000);
const MD5 = createHash('md5').update(CONTENT).digest('hex');

async function serve(): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url!);
    if (request.url === '/files/absent') response.writeHead(404).end();
    else if (request.url === '/files/cut') {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 100), () => response.destroy());
    } else response.end(CONTENT);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`, requests };
}

it('fetches what is not there and nothing twice', async () => {
  const { url, requests } = await serve();
  const folder = await temporaryFolder();
  const files = [
    { name: 'a', md5: MD5 },
    { name: 'b', md5: MD5 },
  ];
  await downloadFiles(url, files, folder);
  await downloadFiles(url, files, folder);
  expect(requests).toEqual(['/files/a', '/files/b']);
  expect(Buffer.compare(await readFile(`${folder}/b`), CONTENT)).toBe(0);
});

it('leaves nothing behind when the checksum is wrong, the file absent or the connection cut', async () => {
  const { url } = await serve();
  const folder = await temporaryFolder();
  await expect(downloadFiles(url, [{ name: 'a', md5: '0'.repeat(32) }], folder)).rejects.toThrow(
    `Cannot download ${url}/a: its MD5 must be ${'0'.repeat(32)}: current value is ${MD5}`,
  );
  await expect(downloadFiles(url, [{ name: 'absent', md5: MD5 }], folder)).rejects.toThrow(
    'the server answered 404',
  );
  await expect(downloadFiles(url, [{ name: 'cut', md5: MD5 }], folder)).rejects.toThrow(
    `Cannot download ${url}/cut`,
  );
  expect(await readdir(folder)).toEqual([]);
});

it('says what to do where there is no network', async () => {
  const folder = await temporaryFolder();
  await expect(downloadFiles('http://127.0.0.1:1', [{ name: 'a', md5: MD5 }], folder)).rejects.toThrow(
    /fetch the file by hand and give its folder/,
  );
});
