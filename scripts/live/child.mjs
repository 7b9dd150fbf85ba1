/** One way to save, in a process of its own, which does what it is told: `node child.mjs` with an IPC channel. */
import { setTimeout as sleep } from 'node:timers/promises'
import { anonymousMb } from '../charts/machine.mjs'
import { measured } from './measure.mjs'
import { OPENERS } from './ways.mjs'

const IDLE_EVERY_MS = 10_000

let way

const COMMANDS = {
  async open({ name, count, dir }) {
    way = await OPENERS[name]({ count, dir })
  },
  async save({ share }) {
    way.change(share)
    return measured(way)
  },
  /** The share of a core, in percent, while it saves by itself and nothing changes. */
  async idle({ seconds }) {
    // What is there was saved, and seen to rest by another save, before nothing changes any more.
    for (let i = 0; i < 2; i++) await way.save()
    way.session.autosave({ every: IDLE_EVERY_MS, backupEvery: 0 })
    await sleep(IDLE_EVERY_MS)
    const [cpu, began] = [process.cpuUsage(), performance.now()]
    await sleep(seconds * 1000)
    const { user, system } = process.cpuUsage(cpu)
    return { seconds, percent: (user + system) / 10 / (performance.now() - began) }
  },
  /** What is alive after so many saves: on the heap, and in buffers that belong to it. */
  async memory({ saves, share }) {
    for (let i = 0; i < saves; i++) {
      way.change(share)
      await way.save()
    }
    for (let i = 0; i < 4; i++) {
      await sleep(50)
      globalThis.gc()
    }
    const { heapUsed, external } = process.memoryUsage()
    return { usedMb: (heapUsed + external) / 2 ** 20, anonymousMb: anonymousMb('self') }
  },
  close: () => way.close(),
}

process.on('message', ({ command, ...rest }) => {
  void COMMANDS[command](rest).then(
    (said) => process.send({ said }),
    (error) => process.send({ failed: error.stack }),
  )
})
// Whoever started it is done with it, or gone.
process.on('disconnect', () => process.exit())
