/**
 * The page runs under `require-trusted-types-for 'script'`: text becomes markup or code nowhere. Workers are
 * the one exception, and only those that lie beside the page.
 */

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown
}

export function trustOwnScripts(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes }
  trustedTypes?.createPolicy('default', {
    createScriptURL: (url) => {
      if (new URL(url, document.baseURI).origin === location.origin) return url
      throw new TypeError('Scripts of others are not run here.')
    },
  })
}
