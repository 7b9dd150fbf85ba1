/**
 * Builds the page into dist/web, and with `--mode viewer` the one file dist/viewer/cairn-car-viewer.html.
 * Nothing that they hold comes from elsewhere, and nothing is fetched from elsewhere.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig, type UserConfig } from 'vite'
import { precompress, singleFile } from './vite-plugins.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig(async ({ mode }): Promise<UserConfig> => {
  const isViewer = mode === 'viewer'
  const input = isViewer ? here('viewer.html') : here('index.html')
  const { resolve, ...platform } = await platformConfig()
  return {
    ...platform,
    root: here('.'),
    base: './',
    publicDir: false,
    resolve: { ...resolve, dedupe: ['preact'] },
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    define: { __VIEWER__: String(isViewer) },
    build: {
      outDir: here(isViewer ? '../dist/viewer' : '../dist/web'),
      emptyOutDir: true,
      target: 'es2023',
      modulePreload: { polyfill: false },
      assetsInlineLimit: isViewer ? Number.MAX_SAFE_INTEGER : 0,
      cssCodeSplit: !isViewer,
      reportCompressedSize: false,
      rolldownOptions: {
        input,
        ...(isViewer ? { output: { codeSplitting: false } } : {}),
      },
    },
    worker: { ...platform.worker, format: 'es' },
    plugins: [
      platform.plugins ?? [],
      isViewer ? singleFile('cairn-car-viewer.html') : precompress(),
    ],
  }
})

/** What the CAR reader needs of the build. */
async function platformConfig(): Promise<UserConfig> {
  if (!existsSync(here('src/car/vite-platform.ts'))) return {}
  const module = (await import('./src/car/vite-platform.ts')) as { platform?: UserConfig }
  return module.platform ?? {}
}
