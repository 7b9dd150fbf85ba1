/**
 * Builds the page into dist/web, and with `--mode viewer` the one file dist/viewer/cairn-car-viewer.html.
 * Nothing that they hold comes from elsewhere, and nothing is fetched from elsewhere.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig, type UserConfig } from 'vite'
import { platform as carPlatform } from './src/car/vite-platform.ts'
import { precompress, singleFile } from './vite-plugins.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig(({ mode }): UserConfig => {
  const isViewer = mode === 'viewer'
  const input = isViewer ? here('viewer.html') : here('index.html')
  // What the CAR reader needs of the build.
  const { resolve, ...platform } = carPlatform
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
