/** examples/python: the game and the service killed, and all is there; two players in one house. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { cloneOfExamples, ROOT, start, type Program } from './box.ts'

test('one command starts it; whatever is killed, the game goes on where it was', async () => {
  const cwd = await cloneOfExamples()
  const env = { PORT: String(await freePort()), PYTHONPATH: `${cwd}/clients/python` }
  const readme = await readFile(join(ROOT, 'examples', 'python', 'README.md'), 'utf8')
  const command = 'sh examples/python/play.sh Ada'
  expect(readme).toContain(`\n${command}\n`)
  const first = start(command, cwd, env)
  await first.says(/Ada is in the hall/)
  first.write('lamp')
  await first.says(/hall \(n, e\); here: \[\]; yours: \['lamp'\]/)
  first.write('n')
  await first.says(/library \(s\); here: \['book'\]; yours: \['lamp'\]/)
  first.child.stdin?.end()
  expect(await first.ended).toBe(0)

  const serve = (): Program =>
    start(`bin/cairn serve --data-dir game-data --port ${env.PORT} --log-level info`, cwd)
  const service = serve()
  await service.says(/listening|serving/i)
  const url = { ...env, CAIRN_URL: `http://127.0.0.1:${env.PORT}` }
  const play = (name: string): Program => start(`python3 examples/python/game.py ${name}`, cwd, url)
  const ada = play('Ada')
  await ada.says(/Ada is in the library/)
  const bob = play('Bob')
  await bob.says(/Bob is in the hall/)
  bob.write('n')
  await bob.says(/library \(s\); here: \['book'\]; yours: \[\]/)
  bob.write('book')
  await bob.says(/here: \[\]; yours: \['book'\]/)
  ada.write('lamp')
  await ada.says(/here: \['lamp'\]; yours: \[\]/)
  await Promise.all([ada.end('SIGKILL'), service.end('SIGKILL')])

  const again = serve()
  await again.says(/listening|serving/i)
  // Bob's program has not noticed.
  bob.write('lamp')
  await bob.says(/here: \[\]; yours: \['book', 'lamp'\]/)
  const back = play('Ada')
  await back.says(/Ada is in the library/)
  expect(await bob.end('SIGTERM')).toBe('SIGTERM')
  await again.says(/user_disconnect:Bob/)
})
