"""What a browser says on the console about itself, not about the page."""

import re

# Where it draws Plotly's turning figures without a graphics card.
OF_THE_BROWSER = re.compile(r"GPU stall due to ReadPixels|Canvas2D: Multiple readback operations")
