import { useEffect, useRef } from 'preact/hooks'

/** Who follows a link within a view is told where it led: its heading gets the focus, once it is another page. */
export function useArrived(page: string): void {
  const last = useRef(page)
  useEffect(() => {
    if (last.current === page) return
    last.current = page
    document.querySelector<HTMLElement>('#main h1')?.focus()
    window.scrollTo(0, 0)
  }, [page])
}
