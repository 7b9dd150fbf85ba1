/** Whether this is the viewer: one file that asks no service. */
declare const __VIEWER__: boolean
