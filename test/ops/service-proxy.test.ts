/** The nginx of docs/SERVICE.md, as it stands there, before the real service: what streams streams through it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { debianRoot } from '../helpers/debian.ts'
import { freePort } from '../helpers/free-port.ts'
import { serve, until } from '../helpers/served.ts'
import { CERT_1, KEY_1 } from '../helpers/tls.ts'
import { Sandbox } from '../cli/sandbox.ts'

const run = promisify(execFile)

/** nginx with the server of the page, in a folder of its own; its address. */
async function startNginx(dir: string, service: string): Promise<string> {
  const page = await readFile(new URL('../../docs/SERVICE.md', import.meta.url), 'utf8')
  const [, server = ''] = /```nginx\n(.*?)```/s.exec(page) ?? []
  const port = await freePort()
  const here = server
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replaceAll(/\/etc\/letsencrypt\S*\/fullchain\.pem/g, join(dir, 'cert.pem'))
    .replaceAll(/\/etc\/letsencrypt\S*\/privkey\.pem/g, join(dir, 'key.pem'))
    .replace('http://127.0.0.1:3000', service)
  expect(here).not.toMatch(/letsencrypt|:3000/)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(dir, name)};`)
    .join('\n')
  const conf = `daemon off; master_process off; pid ${join(dir, 'pid')};
error_log stderr; events {}
http { access_log off;
${temporary}
${here} }`
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'cert.pem'), CERT_1)
  await writeFile(join(dir, 'key.pem'), KEY_1)
  await writeFile(join(dir, 'nginx.conf'), conf)
  const binary = join(await debianRoot('nginx'), 'usr', 'sbin', 'nginx')
  const args = ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')]
  const child = spawn(binary, args, { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const url = `https://localhost:${port}`
  await expect
    .poll(
      () =>
        run('curl', ['-sS', '--cacert', join(dir, 'cert.pem'), `${url}/livez`]).then(
          ({ stdout }) => stdout,
          String,
        ),
      { timeout: 20_000 },
    )
    .toBe('{"status":"live"}')
  return url
}

test('behind the nginx of the page events come at once, CARs go both ways, and what is cut stays cut', async () => {
  const sandbox = await Sandbox.make()
  onTestFinished(() => sandbox.remove())
  const data = sandbox.path('data')
  const token = (
    await sandbox.ok(['token', 'create', 'a', '--right', 'admin', '--data-dir', data])
  ).trim()
  const served = await serve(sandbox, ['--behind-proxy', '--rate-limit', '1000'], {}, data)
  const dir = sandbox.path('nginx')
  const url = await startNginx(dir, served.url)
  const main = `${url}/v1/datasets/main`
  const always = ['--cacert', join(dir, 'cert.pem'), '-H', `Authorization: Bearer ${token}`]
  const curl = async (...args: string[]): Promise<string> =>
    (await run('curl', ['-fsS', ...always, ...args], { maxBuffer: 1 << 24 })).stdout
  const follow = (): { child: ChildProcess; text: () => string } => {
    const child = spawn('curl', ['-fsSN', ...always, `${main}/changes?since=0`])
    onTestFinished(() => void child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', (part: Buffer) => (text += part.toString()))
    return { child, text: () => text }
  }

  const reader = follow()
  const big = join(dir, 'big')
  await writeFile(big, Buffer.alloc(3 << 20, 'not much in it, but a lot of it; '))
  await curl('-X', 'PUT', `${main}/entities/one/content`, '--data-binary', `@${big}`)
  // The event is there while the stream is open.
  await until(() => reader.text().includes('"pi":"one"'))

  const car = join(dir, 'main.car')
  await curl(`${main}/car`, '-o', car)
  expect((await sandbox.run(['car', 'verify', car])).code).toBe(0)
  const type = 'content-type: application/vnd.ipld.car'
  const upload = await curl(`${main}/car?as=copy`, '-H', type, '--data-binary', `@${car}`)
  const { job } = JSON.parse(upload) as { job: { id: string } }
  expect(await curl(`${main}/jobs/${job.id}?wait_ms=30000`)).toContain('"state":"succeeded"')
  await curl(`${url}/v1/datasets/copy/entities/one/content`, '-o', join(dir, 'copy'))
  expect((await readFile(join(dir, 'copy'))).equals(await readFile(big))).toBe(true)

  const ended = once(reader.child, 'exit')
  served.child.kill('SIGKILL')
  const [code] = (await ended) as [number]
  // 18: a partial file, 56: it was reset.
  expect([18, 56, 92]).toContain(code)
})
