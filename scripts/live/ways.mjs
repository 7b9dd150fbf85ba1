/**
 * Ways to save a scene. Each is `open({count, dir})`, which saves all of it once, and gives
 * `{change, save, session?, serverCpu?, fileBytes?, close}`: `change` is the program at work, which is not measured.
 */
import { mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { serialize } from 'node:v8'
import { changesOf, sceneOf } from './data.mjs'
import { startRedis } from './redis.mjs'

const SILENT = {
  info() {},
  debug() {},
  error: (event, fields) => process.stderr.write(`${event} ${JSON.stringify(fields)}\n`),
}

async function openSession(dir) {
  const library = await import(process.env.CAIRN_LIBRARY)
  return library.openSession(dir, { log: SILENT })
}

/** The program holds the scene. */
async function holding(count, saveAll) {
  const scene = sceneOf(count)
  let version = 0
  await saveAll(scene)
  return {
    change(share) {
      for (const [key, object] of changesOf(count, share, ++version)) scene.set(key, object)
    },
    save: () => saveAll(scene),
    close: async () => {},
  }
}

async function openSource({ count, dir }) {
  const session = await openSession(dir)
  let scene
  await session.attach('scene', { capture: () => scene })
  const way = await holding(count, (all) => {
    scene = all
    return session.save('bench')
  })
  return { ...way, session, close: () => session.close({ save: false }) }
}

/** The map holds the scene. */
async function openMap({ count, dir }) {
  const session = await openSession(dir)
  const map = await session.map('scene')
  let [changes, version] = [sceneOf(count), 0]
  const save = async () => {
    await map.setAll(changes)
    changes = new Map()
    await session.save('bench')
  }
  await save()
  return {
    change(share) {
      changes = changesOf(count, share, ++version)
    },
    save,
    session,
    close: () => session.close({ save: false }),
  }
}

async function openRedis({ count, dir }) {
  const redis = await startRedis(dir)
  let [changes, version] = [sceneOf(count), 0]
  const save = async () => {
    await redis.setAll(changes)
    changes = new Map()
    await redis.backgroundSave()
  }
  await save()
  return {
    change(share) {
      changes = changesOf(count, share, ++version)
    },
    save,
    serverCpu: () => redis.cpu(),
    fileBytes: () => redis.fileBytes(),
    close: () => redis.close(),
  }
}

/** As careful as it gets with one file: written aside, synced, put in place, and that synced as well. */
const openFile =
  (encode) =>
  async ({ count, dir }) => {
    await mkdir(dir, { recursive: true })
    return holding(count, async (scene) => {
      const handle = await open(join(dir, 'state.tmp'), 'w')
      await handle.writeFile(encode(scene))
      await handle.sync()
      await handle.close()
      await rename(join(dir, 'state.tmp'), join(dir, 'state'))
      const folder = await open(dir)
      await folder.sync()
      await folder.close()
    })
  }

/** The data alone, which nobody saves. */
const openNothing = ({ count }) => holding(count, async () => {})

/** The same, where the code is loaded that would save it. */
async function openLoaded({ count, dir }) {
  const library = await import(process.env.CAIRN_LIBRARY)
  const cairn = await library.openCairn(`lmdb:${join(dir, 'store')}`, { create: true })
  await cairn.close()
  return openNothing({ count })
}

export const OPENERS = {
  source: openSource,
  map: openMap,
  redis: openRedis,
  json: openFile((scene) => JSON.stringify(Object.fromEntries(scene))),
  v8: openFile(serialize),
  nothing: openNothing,
  loaded: openLoaded,
}
