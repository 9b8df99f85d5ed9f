// The page on which a customer signs on a device of his own needs the pad and nothing else.

import { fitPads } from "../page/pad.js"

fitPads()
