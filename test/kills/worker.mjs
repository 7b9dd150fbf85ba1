/**
 * A process that is there to be killed: node worker.mjs DIST TASK STORE OPTIONS, OPTIONS being JSON. It
 * names each effect before it begins it, in lines of JSON on its standard output: `{"at": "commit"}`.
 */
import { writeSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [dist, task, store, json = '{}'] = process.argv.slice(2)
const options = JSON.parse(json)

const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`)
const onProgress = ({ step }) => say({ at: step })

/** Replaces methods of an object by ones that say their names first. The store knows it by its identity. */
function telling(object, names) {
  for (const [method, name] of Object.entries(names)) {
    const real = object[method].bind(object)
    object[method] = (...args) => {
      say({ at: name })
      return real(...args)
    }
  }
  return object
}

/** The same, for a method that gives an object whose methods tell, too. */
function giving(object, method, name, names) {
  const real = object[method].bind(object)
  object[method] = async (...args) => {
    const given = telling(await real(...args), names)
    say({ at: name })
    return given
  }
}

/** Files that are written, in the folder of backups. */
function tellOfFiles(folder) {
  const { open } = fs
  fs.open = async (path, flags, ...more) => {
    const file = await open(path, flags, ...more)
    if (String(path) === folder) return telling(file, { sync: 'sync folder' })
    if (!String(path).endsWith('.partial') || flags === undefined || flags === 'r') return file
    const beside = /\.(json|sha256)\./.test(String(path)) ? ' beside' : ''
    return telling(file, {
      write: `write${beside}`,
      writev: `write${beside}`,
      writeFile: `write${beside}`,
      sync: `sync${beside}`,
    })
  }
  telling(fs, { link: 'link', rename: 'rename', rm: 'remove' })
  syncBuiltinESMExports()
}

async function openTelling() {
  const backend = await openStore()
  giving(backend, 'stage', 'stage', { put: 'put', flush: 'flush', end: 'end of staging' })
  giving(backend, 'sweep', 'sweep', {
    mark: 'mark',
    offer: 'offer',
    free: 'free',
    end: 'end of sweep',
  })
  giving(backend, 'lease', 'lease', { release: 'release' })
  telling(backend, { commit: 'commit', forget: 'forget' })
  const { Cairn } = await import(`${dist}/cairn.js`)
  return new Cairn(backend)
}

/** A node that is gone is not waited for: the test has killed it. */
async function openStore() {
  if (store.startsWith('kubo:')) {
    const { openKubo } = await import(`${dist}/backend/kubo/index.js`)
    return openKubo({ url: store.slice('kubo:'.length), retryMs: 200 })
  }
  const { openBackend } = await import(`${dist}/compose.js`)
  return openBackend(store, { create: false })
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const tasks = {
  async export() {
    tellOfFiles(options.folder)
    const { exportToFolder } = await import(`${dist}/backup/write-car.js`)
    const cairn = await openTelling()
    const form = { version: 1, recipients: [], force: false, now: Date.now }
    const { status } = await exportToFolder(await cairn.dataset('main'), options.folder, {
      ...form,
      onProgress,
    })
    say({ done: status })
    await cairn.close()
  },

  async restore() {
    const { openCars } = await import(`${dist}/backup/open-cars.js`)
    const cairn = await openTelling()
    const opened = await openCars([options.car])
    const { status } = await cairn.restoreCar(opened.cars, { replace: true, onProgress })
    say({ done: status })
    await opened.close()
    await cairn.close()
  },

  async prune() {
    const cairn = await openTelling()
    const dataset = await cairn.dataset('main')
    const { status } = await dataset.prune({ policy: { last: options.last }, onProgress })
    say({ done: status })
    await cairn.close()
  },

  /** Puts one value after another until its standard input ends; builds now and then, if asked. */
  async append() {
    const { Cairn } = await import(`${dist}/cairn.js`)
    const cairn = new Cairn(await openStore())
    const dataset = await cairn.dataset(options.dataset)
    let over = false
    process.stdin.resume().once('end', () => (over = true))
    for (let n = 0; !over; n++) {
      const pi = `live-${String(n).padStart(6, '0')}`
      const { ver, tip } = await dataset.put(pi, { n, text: 'an appended value' })
      say({ pi, ver, tip: Buffer.from(tip).toString('hex') })
      if (options.buildEvery > 0 && n % options.buildEvery === options.buildEvery - 1)
        await dataset.build()
      await pause(options.pauseMs)
    }
    await cairn.close()
  },
}

try {
  await tasks[task]()
} catch (error) {
  say({ error: error.code ?? String(error), message: error.message })
  process.exitCode = 1
}
