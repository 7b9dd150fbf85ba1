/** Durable files: what a copy costs when it must survive a power cut. */
import { copyFile, open } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function syncFile(path) {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The name, too. */
export async function syncNew(path) {
  await syncFile(path)
  await syncFile(dirname(path))
}

export async function copyDurably(from, to) {
  await copyFile(from, to)
  await syncNew(to)
}

/** Writes parts to a new file, in writes of a megabyte. */
export async function writeDurably(path, parts) {
  const handle = await open(path, 'w')
  let batch = []
  let size = 0
  const flush = async () => {
    await handle.writev(batch)
    batch = []
    size = 0
  }
  for await (const part of parts) {
    batch.push(part)
    size += part.length
    if (size > 1 << 20 || batch.length === 1000) await flush()
  }
  if (batch.length > 0) await flush()
  await handle.sync()
  await handle.close()
  await syncFile(dirname(path))
}
