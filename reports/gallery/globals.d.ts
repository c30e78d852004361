// What the page's scripts share through the window, for `make check`: see static/page.js and data.py.
interface Window {
  deblurbench: any;
  deblurbenchData: any;
  uPlot: any;
}
