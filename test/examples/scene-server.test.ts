/** examples/scene-server: several clients at once, a crash, an orderly end, and all is there. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { cloneOfExamples, copyOfExample, ROOT, start, type Program } from './box.ts'

const COMMAND = 'node examples/scene-server/server.mjs'

type Message = Readonly<Record<string, unknown>>

interface Welcome extends Message {
  readonly objects: Record<string, unknown>
  readonly tasks: Record<string, unknown>
  readonly chat: Record<string, { user: string; text: string }>
}

interface Client {
  readonly socket: WebSocket
  readonly heard: Message[]
  readonly hears: (part: Message) => Promise<Message>
  /** Resolves with the answer. */
  readonly ask: (request: Message) => Promise<Message>
}

async function serve(cwd: string, command = COMMAND): Promise<{ program: Program; url: string }> {
  const program = start(command, cwd, { PORT: '0' })
  const [, url = ''] = await program.says(/The scene is at (ws:\/\/\S+\/)/)
  return { program, url }
}

async function connect(url: string, user: string): Promise<Client & { welcome: Welcome }> {
  const socket = new WebSocket(`${url}?user=${encodeURIComponent(user)}`)
  onTestFinished(() => socket.terminate())
  const heard: Message[] = []
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString()) as Message))
  socket.on('error', () => {})
  const hears = async (part: Message): Promise<Message> => {
    const fits = (one: Message): boolean =>
      Object.entries(part).every(([name, value]) => Object.is(one[name], value))
    return await expect
      .poll(() => heard.find(fits), { interval: 5, message: JSON.stringify(part) })
      .toBeDefined()
      .then(() => heard.find(fits) ?? {})
  }
  let ids = 0
  const ask = async (request: Message): Promise<Message> => {
    const id = ++ids
    socket.send(JSON.stringify({ id, ...request }))
    return await hears({ id })
  }
  await once(socket, 'open')
  const welcome = (await hears({ type: 'welcome' })) as Welcome
  return { socket, heard, hears, ask, welcome }
}

test('what was answered is there after a crash and after an orderly end, and nobody begins anew', async () => {
  const cwd = await cloneOfExamples()
  const first = await serve(cwd)
  const [ada, bob, cy] = await Promise.all(
    ['Ada', 'Bob', 'Cy'].map((user) => connect(first.url, user)),
  )
  if (ada === undefined || bob === undefined || cy === undefined) throw new Error('who is here?')
  expect(ada.welcome.objects).toEqual({ floor: { shape: 'plane', size: 100 } })
  await ada.hears({ type: 'users' })

  const many = Array.from({ length: 50 }, (_, i) => `box-${i}`)
  const answers = await Promise.all([
    ...many.map((key, i) => ada.ask({ type: 'set', map: 'objects', key, value: { x: i } })),
    ...['one', 'two', 'three'].map((text) => bob.ask({ type: 'say', text })),
    cy.ask({ type: 'set', map: 'tasks', key: 'paint', value: { done: false, by: 'Cy' } }),
    cy.ask({ type: 'delete', map: 'objects', key: 'floor' }),
  ])
  expect(answers.filter(({ type }) => type !== 'done')).toEqual([])
  // Everybody is told what others do.
  for (const client of [ada, bob, cy]) {
    await client.hears({ type: 'change', map: 'objects', key: 'box-49' })
    await client.hears({ type: 'change', map: 'objects', key: 'floor', value: null })
    await client.hears({ type: 'change', map: 'tasks', key: 'paint' })
  }
  expect(await first.program.end('SIGKILL')).toBe('SIGKILL')

  const second = await serve(cwd)
  expect(second.program.said()).toContain('automatically initialized to ACTIVE state')
  const again = await connect(second.url, 'Ada')
  expect(Object.keys(again.welcome.objects).toSorted()).toEqual(many.toSorted())
  expect(again.welcome.objects['box-7']).toEqual({ x: 7 })
  expect(again.welcome.tasks).toEqual({ paint: { done: false, by: 'Cy' } })
  expect(Object.values(again.welcome.chat)).toEqual(
    ['one', 'two', 'three'].map((text) => ({ user: 'Bob', text })),
  )
  // A line that is said now comes after those of before.
  await again.ask({ type: 'say', text: 'four' })
  expect(await second.program.end('SIGTERM')).toBe(0)
  expect(second.program.said()).toContain('✓ Session saved to disk (reason: shutdown)')

  const third = await serve(cwd)
  const last = await connect(third.url, 'Bob')
  expect(Object.values(last.welcome.chat).map(({ text }) => text)).toEqual([
    'one',
    'two',
    'three',
    'four',
  ])
  expect(last.welcome.objects['floor']).toBeUndefined()
})

test('who leaves is gone and the scene is saved; the same name again takes the place', async () => {
  const cwd = await cloneOfExamples()
  const { program, url } = await serve(cwd)
  const ada = await connect(url, 'Ada')
  const bob = await connect(url, 'Bob')
  const elsewhere = await connect(url, 'Bob')
  await expect.poll(() => bob.socket.readyState).toBe(WebSocket.CLOSED)
  await elsewhere.ask({ type: 'set', map: 'objects', key: 'cube', value: 1 })
  elsewhere.socket.terminate()
  await program.says(/✓ Session saved to disk \(reason: user_disconnect:Bob\)/)
  await expect.poll(() => ada.heard.at(-1)).toEqual({ type: 'users', users: ['Ada'] })
  const facts = join(cwd, 'scene-data', 'session_metadata.json')
  // Written for people, behind the save.
  await expect
    .poll(async (): Promise<unknown> => JSON.parse(await readFile(facts, 'utf8')))
    .toMatchObject({ reason: 'user_disconnect:Bob', user_count: 1 })
})

test('what makes no sense is refused, and the server goes on', async () => {
  const cwd = await cloneOfExamples()
  const { program, url } = await serve(cwd)
  const ada = await connect(url, 'Ada')
  for (const request of [
    { type: 'toString' },
    { type: 'set', map: 'chat', key: 'k', value: 1 },
    { type: 'set', map: 'constructor', key: 'k', value: 1 },
    { type: 'set', map: 'objects', key: 'k'.repeat(600), value: 1 },
    { type: 'set', map: 'objects', key: 5, value: 1 },
    { type: 'set', map: 'objects', key: 'k' },
  ])
    expect(await ada.ask(request)).toMatchObject({ type: 'refused', message: expect.any(String) })
  ada.socket.send('no json')
  await ada.hears({ type: 'refused', id: null })
  const nobody = new WebSocket(url)
  await once(nobody, 'close')
  const tooLarge = await connect(url, 'Bob')
  tooLarge.socket.send('x'.repeat(2 << 20))
  await once(tooLarge.socket, 'close')
  expect(await ada.ask({ type: 'set', map: 'objects', key: 'cube', value: 1 })).toMatchObject({
    type: 'done',
  })
  expect(program.child.exitCode).toBeNull()
})

test('a copy beside the installed package works the same, with the client for a terminal', async () => {
  const cwd = await copyOfExample('scene-server')
  const first = await serve(cwd, 'node scene-server/server.mjs')
  const place = first.url.slice(0, -1)
  const client = start(`node scene-server/client.mjs Ada ${place}`, cwd)
  await client.says(/"type":"welcome"/)
  client.write('set cube {"x":1}')
  await client.says(/"key":"cube","value":\{"x":1\}/)
  client.write('say hello, all')
  await client.says(/"text":"hello, all"/)
  client.write('nonsense')
  await client.says(/Not understood: nonsense/)

  // It comes back by itself when the server does.
  await client.says(/"type":"done"[^]*"type":"done"/)
  await first.program.end('SIGKILL')
  const port = new URL(place).port
  const again = start('node scene-server/server.mjs', cwd, { PORT: port })
  await again.says(/The scene is at/)
  await client.says(/"type":"welcome"[^]*"type":"welcome","objects":\{[^\n]*"cube":\{"x":1\}/)
})

test('the command of the README is the one that was run here', async () => {
  expect(await readFile(join(ROOT, 'examples', 'scene-server', 'README.md'), 'utf8')).toContain(
    COMMAND,
  )
})
