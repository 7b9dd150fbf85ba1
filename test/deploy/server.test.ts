/**
 * The one command that puts the service on a server, in a folder in place of `/`; then what docs/DEPLOY.md says
 * is typed there, as it stands.
 */
import { chmod, cp, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import { freePort } from '../helpers/free-port.ts'
import { kuboBinary } from '../helpers/kubo-node.ts'
import { builtWithPage } from '../helpers/page-build.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { ROOT } from './compose-tool.ts'
import { commandsOf, place, type Place } from './page-shell.ts'

const page = await readFile(join(ROOT, 'docs/DEPLOY.md'), 'utf8')

let box: Sandbox

/** A checkout as it lies in /opt/cairn after `npm run build`. */
beforeAll(async () => {
  const [sandbox, dist] = await Promise.all([Sandbox.make(), builtWithPage()])
  box = sandbox
  const home = dirname(dirname(box.bin()))
  await rm(join(home, 'dist'))
  await symlink(dist, join(home, 'dist'))
  await cp(join(ROOT, 'scripts'), join(home, 'scripts'), { recursive: true })
})

afterAll(() => box.remove())

/** Only root may make users, and give files to them. */
const STAND_INS: Readonly<Record<string, string>> = {
  id: 'case "$*" in "cairn") [ -f "$PLACE/user" ] ;; *) exec /usr/bin/id "$@" ;; esac',
  useradd: 'echo "$*" >>"$PLACE/user"',
  install: `args=
while [ $# -gt 0 ]; do
  case $1 in -o | -g) shift ;; *) args="$args '$1'" ;; esac
  shift
done
eval "exec /usr/bin/install $args"`,
  setpriv: `while [ "\${1#--}" != "$1" ]; do
  case $1 in --reuid | --regid) shift ;; esac
  shift
done
exec "$@"`,
}

interface Server extends Place {
  readonly root: string
  readonly url: string
  readonly checkout: string
  readonly install: () => Promise<string>
}

async function server(name: string): Promise<Server> {
  const port = await freePort()
  const root = box.path(name, 'root')
  const env = {
    DESTDIR: root,
    CAIRN_PORT: String(port),
    CAIRN_CONFIG: join(root, 'etc/cairn/cairn.config.json'),
    // The one setting that names a place of the server.
    CAIRN_DATA_DIR: join(root, 'var/lib/cairn'),
  }
  const here = await place(box, name, { env })
  for (const [tool, text] of Object.entries(STAND_INS)) {
    const path = join(here.dir, 'tools', tool)
    await writeFile(path, `#!/bin/sh\nset -eu\n${text}\n`)
    await chmod(path, 0o755)
  }
  const checkout = dirname(dirname(box.bin()))
  return {
    ...here,
    root,
    url: `http://127.0.0.1:${port}`,
    checkout,
    install: () => here.shell(`${checkout}/scripts/examples/systemd/install.sh`),
  }
}

test('one command: user, folders, settings, token and units, and the service answers', async () => {
  const { root, url, dir, install, shell } = await server('one')
  await install()
  expect(await readFile(join(dir, 'user'), 'utf8')).toContain('--system')
  expect((await readdir(join(root, 'etc/systemd/system'))).sort()).toEqual([
    'alert-cairn@.service',
    'cairn-.service.d',
    'cairn-health.service',
    'cairn-health.timer',
    'cairn.service',
  ])
  const settings = join(root, 'etc/cairn/cairn.config.json')
  const { values } = await resolveConfig({ flags: {}, configFile: settings, env: {}, cwd: dir })
  expect(values).toMatchObject({ data_dir: '/var/lib/cairn', export_schedule: '0 3 * * *' })
  expect((await stat(settings)).mode & 0o777).toBe(0o600)
  const token = join(root, 'etc/cairn/admin.token')
  expect((await stat(token)).mode & 0o777).toBe(0o600)
  expect((await stat(join(root, 'var/lib/cairn'))).mode & 0o777).toBe(0o700)
  expect((await fetch(`${url}/v1/datasets`)).status).toBe(401)

  // Once more, after somebody has changed things: they stay.
  await writeFile(settings, '{"data_dir": "/var/lib/cairn", "save_interval": 60}\n')
  const before = await readFile(token, 'utf8')
  await install()
  expect(await readFile(token, 'utf8')).toBe(before)
  expect(await readFile(settings, 'utf8')).toContain('save_interval')
  expect((await readFile(join(dir, 'user'), 'utf8')).trim().split('\n')).toHaveLength(1)
  const log = await readFile(join(dir, 'service.log'), 'utf8')
  expect(log).toContain('Auto-save enabled (interval: 60s)')
  expect(log).not.toContain(before.trim())
  await shell('systemctl stop cairn')
})

test('the units that it installs are all that they need, and it installs each that it enables', async () => {
  const text = await readFile(join(ROOT, 'scripts/examples/systemd/install.sh'), 'utf8')
  const [, enabled = ''] = /^systemctl enable --now (.*)$/m.exec(text) ?? []
  const [, installed = ''] = /^for unit in (.*); do$/m.exec(text) ?? []
  const units = new Set(installed.split(' '))
  for (const unit of enabled.split(' ')) {
    expect([unit, units.has(unit)]).toEqual([unit, true])
    const content = await readFile(join(ROOT, 'scripts/examples/systemd', unit), 'utf8')
    const [, onFailure = ''] = /^OnFailure=(\S+?)@/m.exec(content) ?? []
    if (onFailure !== '') expect(units).toContain(`${onFailure}@.service`)
  }
})

test('every command in docs/DEPLOY.md works on such a server', async () => {
  const { root, url, checkout, dir, install, shell, env } = await server('page')
  await install()
  const repo = join(root, 'var/lib/ipfs')
  const ipfs = join(dir, 'tools', 'ipfs')
  await symlink(await kuboBinary(), ipfs)
  await mkdir(dirname(repo), { recursive: true })
  await shell(`IPFS_PATH=${repo} ipfs init`)
  const script = commandsOf(page)
    .replaceAll('http://127.0.0.1:3000', url)
    .replaceAll('/etc/cairn', join(root, 'etc/cairn'))
    .replaceAll('/var/lib/ipfs', repo)
    .replaceAll('/opt/cairn', checkout)
  expect(script.match(/smoke\.sh|kubo-init\.sh|curl/g)).toHaveLength(5)
  const out = await shell(script)
  expect(out).toContain('{"status":"ready"}')
  expect(out).toContain('kubo-init: private, and synced')
  expect(out).not.toContain('FAILED')
  // The page shows what there is to see.
  const [, shown = ''] = /\n(\d+ ok, 0 failed)\n/.exec(page) ?? []
  expect(out).toContain(`\n${shown}\n`)
  expect(env['DESTDIR']).toBe(root)
})
