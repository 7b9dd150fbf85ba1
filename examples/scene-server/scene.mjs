/** The scene: its objects, its tasks and its chat. It is kept in a folder, and there again after a restart. */
import { openSession } from 'cairn-store'

const WEEK = 7 * 24 * 60 * 60 * 1000

export const session = await openSession(process.env.DATA_DIR ?? 'scene-data')

const objects = await session.map('objects')
const tasks = await session.map('tasks')
const chat = await session.map('chat', { ttl: WEEK })

// Only ever once: after a restart the session is active, and nobody has to begin anew.
if (!session.initialized) {
  await objects.set('floor', { shape: 'plane', size: 100 })
  await session.initialize()
}

/** Everything there is, for somebody who has just come. */
export const whole = () => ({
  objects: Object.fromEntries(objects),
  tasks: Object.fromEntries(tasks),
  chat: Object.fromEntries(chat),
})

/**
 * Tells of every change, whoever made it: also of a line of the chat that has expired, and of a write that failed
 * and was undone.
 * @param {(change: { map: string, key: string, value: unknown }) => void} tell a null says that the key is gone
 */
export function watch(tell) {
  for (const map of [objects, tasks, chat])
    map.onChange(({ key, value = null }) => tell({ map: map.name, key, value }))
}

/** What a user may ask for. The promises resolve when it is on disk. */
const requests = {
  set: (_, { map, key, value }) => editable(map).set(key, value),
  delete: (_, { map, key }) => editable(map).delete(key),
  say: (user, { text }) => chat.set(nextLine(), { user, text: String(text) }),
}

/**
 * @param {string} user
 * @param {{ type: string, [field: string]: any }} request
 */
export async function perform(user, request) {
  if (!Object.hasOwn(requests, request.type)) throw new Error('Ask for set, delete or say.')
  await requests[request.type](user, request)
}

function editable(name) {
  const map = [objects, tasks].find((one) => one.name === name)
  if (map !== undefined) return map
  throw new Error('There are the maps objects and tasks.')
}

// Lines of the chat are kept by times that only go up, so that they stay in their order.
let newest = Number([...chat.keys()].at(-1) ?? 0)
const nextLine = () => String((newest = Math.max(newest + 1, Date.now())))
