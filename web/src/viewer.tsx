/** The viewer: a page of one file that opens CARs, from anywhere, without a service. */
import './style/tokens.css'
import './style/base.css'
import './style/shell.css'
import './style/ui.css'
import { render, type VNode } from 'preact'
import { startClock } from './app/clock.ts'
import { route } from './app/router.ts'
import { startTheme } from './app/theme.ts'
import { ViewerFrame } from './app/viewer-frame.tsx'
import { View } from './views/car/view.tsx'

startTheme()
startClock()
const place = document.getElementById('app')
if (place !== null) render(<Viewer />, place)

function Viewer(): VNode {
  const { args, query } = route.value
  return (
    <ViewerFrame>
      <View dataset="" args={args} query={query} />
    </ViewerFrame>
  )
}
