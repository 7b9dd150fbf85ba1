/**
 * A replica behind another service. The sync is made over there: it asks, in its answers, for the newest commit and
 * for the blocks that it lacks, and has proved all of them when it says that it is done. Here is only what it is
 * given.
 *
 * A service that does not know the sync any more was started anew, or heard nothing for too long: another one is
 * begun, which finds what was sent.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { transport, type ConnectOptions } from '../client/transport.ts'
import type { ReplicaTarget } from '../engine/replica/target.ts'
import { CairnError } from '../errors.ts'
import { PATIENCE, Patience, type PatienceLimits } from './patience.ts'
import { Sending } from './sending.ts'
import { newestAt } from './service-source.ts'
import { keepSecret } from './token.ts'

type Signal = AbortSignal | undefined

/** A service that is started anew may take its time; a minute is the most. */
const PATIENT_RETRIES = 30
const MOST_TRIES = 20
const AGAIN_MS = 200

export function serviceTarget(
  options: ConnectOptions,
  limits: PatienceLimits = PATIENCE,
): ReplicaTarget {
  const { url: location, token } = options
  if (token !== undefined) keepSecret(token)
  const http = transport(options)
  const patient = transport({ retries: PATIENT_RETRIES, ...options })
  const closing = new AbortController()
  const until = (signal: Signal): AbortSignal =>
    signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
  return {
    location,
    async newest(dataset) {
      return (await newestAt(location, http, dataset, closing.signal))?.commit
    },
    async sync(source, dataset, { onProgress, signal } = {}) {
      for (let tries = 1; ; tries++) {
        const patience = new Patience(location, limits)
        const one = new Sending({ location, http, patient, patience }, source, dataset, {
          onProgress,
          signal: until(signal),
        })
        try {
          return await one.run()
        } catch (error) {
          if (!one.isForgotten(error) || tries === MOST_TRIES) throw error
          await delay(AGAIN_MS, undefined, { signal: until(signal) }).catch(() => undefined)
        }
      }
    },
    async close() {
      closing.abort(new CairnError('closed', 'This store was closed.'))
    },
  }
}
