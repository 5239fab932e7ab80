// Quasar's table with cells that are changed in place. NiceGUI mounts a slot's template anew with each change of
// anything on the page: of a long table that costs more than all else, and nothing in it keeps the focus.

import { convertDynamicProperties } from "../../static/utils/dynamic_properties.js";

const components = new Map(); // by their template: Vue takes the same one for the same

function component(template) {
  if (!components.has(template)) components.set(template, { props: { props: Object }, template });
  return components.get(template);
}

export default {
  template: `
    <q-table ref="qRef" :columns="ownColumns">
      <template v-for="(template, slot) in cells" :key="slot" v-slot:[slot]="props">
        <component :is="component(template)" :props="props" />
      </template>
    </q-table>
  `,
  props: { columns: Array, cells: Object },
  computed: {
    ownColumns() {
      const columns = this.columns.map((column) => ({ ...column }));
      columns.forEach((column) => convertDynamicProperties(column, false));
      return columns;
    },
  },
  methods: { component },
};
