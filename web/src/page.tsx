/** The page that `cairn serve` has at `/`. */
import './style/tokens.css'
import './style/base.css'
import './style/shell.css'
import './style/ui.css'
import { render } from 'preact'
import { App } from './app/app.tsx'
import { startClock } from './app/clock.ts'
import { startListing } from './app/datasets.ts'
import { startTheme } from './app/theme.ts'
import { trustOwnScripts } from './app/trust.ts'

trustOwnScripts()
startTheme()
startClock()
startListing()
const place = document.getElementById('app')
if (place !== null) render(<App />, place)
