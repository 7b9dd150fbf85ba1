/**
 * What Vite needs to build the worker that reads CARs: the few modules of Node that the shared code imports are
 * replaced by those in platform/. In the mode `viewer` the worker lies in the page, which then is one file.
 */
import { fileURLToPath } from 'node:url'
import type { Plugin, UserConfig } from 'vite'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const TWINS: Readonly<Record<string, string>> = {
  'node:buffer': here('./platform/buffer.ts'),
  'node:crypto': here('./platform/crypto.ts'),
  'node:fs': here('./platform/fs.ts'),
  'node:fs/promises': here('./platform/fs-promises.ts'),
  'node:os': here('./platform/os.ts'),
  'node:timers/promises': here('./platform/timers.ts'),
}

/** The table that spills to a file, and the one that refuses instead. */
const SPILLING = here('../../../src/util/digest-file.ts')
const BOUNDED = here('./platform/digest-file.ts')

function twins(): Plugin {
  return {
    name: 'cairn:car-twins',
    enforce: 'pre',
    async resolveId(source, importer, options) {
      const twin = TWINS[source]
      if (twin !== undefined) return twin
      if (!source.endsWith('/digest-file.ts')) return undefined
      const found = await this.resolve(source, importer, { ...options, skipSelf: true })
      return found?.id === SPILLING ? BOUNDED : found
    },
  }
}

function starter(): Plugin {
  let inline = false
  return {
    name: 'cairn:car-starter',
    enforce: 'pre',
    config: (_, { mode }) => {
      inline = mode === 'viewer'
      // In a page from the disk Chromium starts no worker that is a module.
      return inline ? { worker: { format: 'iife' } } : {}
    },
    async resolveId(source, importer, options) {
      if (!inline || !source.endsWith('/start-worker.ts')) return undefined
      const inlined = source.replace('start-worker', 'start-worker-inline')
      return this.resolve(inlined, importer, { ...options, skipSelf: true })
    },
  }
}

/** To be merged into a Vite config. */
export const platform: UserConfig = {
  plugins: [starter()],
  worker: {
    format: 'es',
    plugins: () => [twins()],
    rolldownOptions: {
      transform: { inject: { Buffer: [here('./platform/buffer.ts'), 'BrowserBuffer'] } },
    },
  },
}
