/**
 * The body of an answer in pieces of some size. Kubo sends an export in scraps, three for each block;
 * taking them one by one through an asynchronous iterator costs more than what is done with them.
 */
import type { IncomingMessage } from 'node:http'

/** So much is gathered before the taker is woken. */
const PIECE_BYTES = 64 * 1024
/** Or for so long, where less comes. */
const GATHER_MS = 5
/** So much waits for the taker before the node has to. */
const MOST_BYTES = 1024 * 1024

export interface Pieces {
  /** The next piece, `undefined` at the end. One call at a time. Rejects when the body was cut short. */
  next(): Promise<Buffer | undefined>
}

export function piecesOf(body: IncomingMessage): Pieces {
  let scraps: Buffer[] = []
  let size = 0
  let ended = false
  let failure: Error | undefined
  let wake = (): void => {}
  let timer: NodeJS.Timeout | undefined

  const wakeNow = (): void => {
    clearTimeout(timer)
    timer = undefined
    wake()
  }
  const fail = (error: Error): void => {
    if (!ended) failure ??= error
    wakeNow()
  }
  body.on('data', (scrap: Buffer) => {
    scraps.push(scrap)
    size += scrap.length
    if (size >= MOST_BYTES) body.pause()
    if (size >= PIECE_BYTES) wakeNow()
    else timer ??= setTimeout(wakeNow, GATHER_MS)
  })
  body.on('end', () => {
    ended = true
    wakeNow()
  })
  body.on('error', fail)
  body.on('close', () => fail(new Error('the connection was closed')))

  return {
    async next() {
      while (size === 0 && !ended && failure === undefined) {
        await new Promise<void>((resolve) => (wake = resolve))
      }
      if (failure !== undefined) throw failure
      if (size === 0) return undefined
      const piece = scraps.length === 1 ? (scraps[0] as Buffer) : Buffer.concat(scraps, size)
      scraps = []
      size = 0
      body.resume()
      return piece
    },
  }
}
